/** Schemas of calls as their legs make them together: view=calls of GET /cdrs and /consumption, and the legs of a call. */
import { Type } from 'typebox';
import { answer, oneOf } from '#platform/http/answers.ts';
import { DIRECTIONS } from '../../call_fields.ts';
import { Call, CallsAnswer, freshness, nullable } from '../../contract.ts';

/** Of a call that is longer the first ones are told. */
export const MAX_LEGS = 1_000;

const amounts = Type.Array(
  Type.Object({ currency: Type.String(), amount: Type.String({ description: 'Decimal' }) }),
  { description: 'What its legs cost, by currency; empty: none of them has a price' },
);

export const LinkedCall = Type.Object(
  {
    i_cdr: Type.Integer({ description: "Number of its first leg's record" }),
    i_account: Type.Integer(),
    linked_id: Type.String({ description: 'What its legs share' }),
    call_id: Type.String({ description: "The first leg's, as are direction, cli, cld, country and source" }),
    direction: oneOf(DIRECTIONS, 'Seen from the account'),
    cli: Type.String(),
    cld: Type.String(),
    start_time: Type.String({ description: 'RFC 3339, UTC: when the first leg began' }),
    connect_time: nullable('string', 'When another party than the switch answered first'),
    disconnect_time: Type.String({ description: 'When the last leg ended' }),
    duration_s: Type.Number({ description: 'From the first to the last' }),
    talk_s: Type.Number({ description: 'While another party was on the line, several at once counted once' }),
    billed_duration_s: Type.Number({ description: 'Of all legs' }),
    result: oneOf(['answered', 'missed'], 'Whether another party than the switch answered'),
    answered_by: nullable('string', 'Called number of the leg that was answered first'),
    answered_leg: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'Number of that record',
    }),
    legs: Type.Integer({ description: 'How many records it is made of' }),
    country: nullable('string', 'ISO 3166-1 alpha-2'),
    cost: amounts,
    source: Type.String({ description: 'The switch that told of it' }),
  },
  { title: 'LinkedCall' },
);

export const LinkedCallsAnswer = answer(Type.Array(LinkedCall), {
  total: Type.Optional(Type.Integer({ description: 'How many calls match; with with_total=true' })),
  next_cursor: nullable('string', 'For the next page; null: this was the last'),
  ...freshness,
});

/** GET /cdrs answers in one of these forms. */
export const CallsForms = {
  description:
    'A page, or with `Accept: text/csv` the whole range as a file, with `x-data-complete-to` and `x-replica-lag-s` as they were when it began',
  content: {
    'application/json': { schema: Type.Union([CallsAnswer, LinkedCallsAnswer]) },
    'text/csv': { schema: Type.String({ description: 'RFC 4180 with a header; times with their offset' }) },
  },
};
export const LegsAnswer = answer(Type.Array(Call), {
  total: Type.Integer({ description: `How many legs the call has; the first ${MAX_LEGS} are told` }),
  replica_lag_s: freshness.replica_lag_s,
});
