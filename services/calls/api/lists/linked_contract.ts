/** Schemas of calls with all their legs: view=calls of GET /cdrs and /consumption, and the legs of a call. */
import { Type } from 'typebox';
import { answer, oneOf } from '#platform/http/answers.ts';
import { DIRECTIONS } from '../../call_fields.ts';
import { Call, CallsAnswer, freshness, nullable } from '../../contract.ts';

/** The most legs that are listed; of a longer call the first ones. */
export const MAX_LEGS = 1_000;

const amounts = Type.Array(
  Type.Object({ currency: Type.String(), amount: Type.String({ description: 'Decimal' }) }),
  { description: 'The cost of its legs, by currency; empty: no leg has a price' },
);

export const LinkedCall = Type.Object(
  {
    i_cdr: Type.Integer({ description: "Number of its first leg's record" }),
    i_account: Type.Integer(),
    linked_id: Type.String({ description: 'The id that its legs share' }),
    call_id: Type.String({ description: 'Of the first leg, like direction, cli, cld, country and source' }),
    direction: oneOf(DIRECTIONS, 'Seen from the account'),
    cli: Type.String(),
    cld: Type.String(),
    start_time: Type.String({ description: 'RFC 3339, UTC: the start of the first leg' }),
    connect_time: nullable('string', 'The first answer by another party than the switch'),
    disconnect_time: Type.String({ description: 'The end of the last leg' }),
    duration_s: Type.Number({ description: 'From the start of the first leg to the end of the last' }),
    talk_s: Type.Number({
      description: 'Time with another party on the line; several parties at once count once',
    }),
    billed_duration_s: Type.Number({ description: 'Of all legs' }),
    result: oneOf(['answered', 'missed'], 'Whether another party than the switch answered'),
    answered_by: nullable('string', 'Called number of the leg that was answered first'),
    answered_leg: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'Number of that record',
    }),
    legs: Type.Integer({ description: 'The number of its records' }),
    country: nullable('string', 'ISO 3166-1 alpha-2'),
    cost: amounts,
    source: Type.String({ description: 'The switch that reported it' }),
  },
  { title: 'LinkedCall' },
);

export const LinkedCallsAnswer = answer(Type.Array(LinkedCall), {
  total: Type.Optional(Type.Integer({ description: 'Number of matching calls, for with_total=true' })),
  next_cursor: nullable('string', 'Cursor of the next page; null: this was the last page'),
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
  total: Type.Integer({ description: `Number of legs of the call; the first ${MAX_LEGS} are listed` }),
  replica_lag_s: freshness.replica_lag_s,
});
