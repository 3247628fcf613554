/** Schemas of the consumption route. */
import { type Static, Type } from 'typebox';
import { answer, closed, oneOf, text } from '#platform/http/answers.ts';
import { DIRECTIONS } from '../../call_fields.ts';
import { csvParameters, freshness, iAccount, include, nullable, view } from '../../contract.ts';
import { GROUPINGS } from '../../store/usage.ts';
import { GRANULARITIES } from '../../usage/consumption.ts';

export const ConsumptionQuery = Type.Object(
  {
    i_account: iAccount,
    include,
    view,
    from: Type.Optional(
      text(
        'An instant (RFC 3339 with a zone) or a date: its beginning in the zone. The default is the month of `to`.',
        40,
      ),
    ),
    to: Type.Optional(text('As from; not included. The default is now.', 40)),
    granularity: Type.Optional(oneOf(GRANULARITIES, 'Size of a bucket by the wall clock; day by default.')),
    time_zone: Type.Optional(text("The zone of the wall clock, an IANA name; the account's by default.", 64)),
    group_by: Type.Optional(
      text(
        `Splits each bucket: one or more of ${GROUPINGS.join(', ')}, with commas between. Only groups with calls are listed.`,
        100,
      ),
    ),
    ...csvParameters,
  },
  closed,
);
export type ConsumptionQuery = Static<typeof ConsumptionQuery>;

const sums = {
  calls: Type.Integer(),
  answered: Type.Integer(),
  seconds: Type.Number({ description: 'Whole calls, ringing included' }),
  billed_seconds: Type.Number(),
  missed: Type.Optional(
    Type.Integer({ description: 'With view=calls: number of calls that no other party answered' }),
  ),
  talk_seconds: Type.Optional(
    Type.Number({ description: 'With view=calls: seconds with another party on the line' }),
  ),
  cost: Type.Array(
    Type.Object({ currency: Type.String(), amount: Type.String({ description: 'Decimal' }) }),
    {
      description: 'By currency. Empty: no call has a price, which does not mean free of charge.',
    },
  ),
};

export const Bucket = Type.Object(
  {
    from: Type.String({ description: "RFC 3339 with the zone's offset" }),
    to: Type.String(),
    i_account: Type.Optional(Type.Integer({ description: 'With group_by=account' })),
    account: Type.Optional(Type.String({ description: 'Its code, with group_by=account' })),
    direction: Type.Optional(oneOf(DIRECTIONS, 'With group_by=direction')),
    country: Type.Optional(nullable('string', 'With group_by=country; null where it is unknown')),
    ...sums,
  },
  { title: 'ConsumptionBucket' },
);
export type Bucket = Static<typeof Bucket>;

export const ConsumptionAnswer = answer(Type.Array(Bucket), {
  totals: Type.Object(sums),
  i_account: Type.Integer(),
  granularity: oneOf(GRANULARITIES, 'As asked'),
  time_zone: Type.String({ description: 'The zone of the buckets' }),
  ...freshness,
});

/** GET /consumption answers in one of two forms. */
export const ConsumptionForms = {
  description:
    'Sums as JSON, or with `Accept: text/csv` as a file, with `x-data-complete-to` and `x-replica-lag-s` at that moment',
  content: {
    'application/json': { schema: ConsumptionAnswer },
    'text/csv': {
      schema: Type.String({
        description: 'RFC 4180 with a header; a record for each bucket, group and currency',
      }),
    },
  },
};
