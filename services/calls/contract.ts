/**
 * The calls service's API as schemas: requests are checked by them, handlers typed, answers written and the OpenAPI
 * document made.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { CALL_TYPES } from './api/call_filter.ts';
import { CALL_RESULTS, CDR_FLAGS, DIRECTIONS } from './cdr.ts';
import { ORDERS } from './store/calls.ts';
import { GROUPINGS } from './store/usage.ts';
import { GRANULARITIES } from './usage/consumption.ts';

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 1_000;
export const MAX_BATCH = 10_000;

/** Text of a query: no control characters (PostgreSQL's text has no NUL), and not of any length. */
const text = (description: string, maxLength = 200) =>
  Type.String({ minLength: 1, maxLength, pattern: '^\\P{Cc}+$', description });
/** One of these words. */
export const oneOf = <T extends string>(values: readonly T[], description: string) =>
  Type.Unsafe<T>(Type.String({ enum: [...values], description }));
const nullable = (type: string, description?: string) =>
  Type.Unsafe<string | null>({ type: [type, 'null'], ...(description && { description }) });
const closed = { additionalProperties: false } as const;

const iAccount = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "The account. A customer's key may leave it out: its own account then.",
  }),
);
const instant = (description: string) => Type.Optional(text(`${description} RFC 3339 with a zone.`, 40));

export const CallsQuery = Type.Object(
  {
    i_account: iAccount,
    from: instant('Calls that start at this instant or later.'),
    to: instant('Calls that start before this instant.'),
    cli: Type.Optional(
      text(
        "The caller's number, or a prefix with * behind it: %2B4930*. A star of the number itself is \\*.",
      ),
    ),
    cld: Type.Optional(text('The called number, or a prefix with * behind it, as for cli.')),
    call_id: Type.Optional(text("The switch's id of the call; several legs may share it.", 500)),
    direction: Type.Optional(oneOf(DIRECTIONS, 'Seen from the account.')),
    type: Type.Optional(
      oneOf(
        CALL_TYPES,
        'answered: connected; non_zero: billed for a time; errors: failed on the way. Without it: all.',
      ),
    ),
    min_duration_s: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1e9, description: 'Whole call, ringing included, in seconds.' }),
    ),
    order: Type.Optional(oneOf(ORDERS, 'By start: desc, newest first (the standard), or asc.')),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        description: `Calls on a page: ${DEFAULT_LIMIT} unless told.`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4_000,
        description: 'next_cursor of the page before, with the same filters.',
      }),
    ),
    with_total: Type.Optional(
      Type.Boolean({
        description:
          'Without it, `total` is given where it costs no count: for account, time and type alone. true counts whatever the filters are, false leaves it out.',
      }),
    ),
    time_zone: Type.Optional(text('For text/csv: the zone of its times, an IANA name; UTC unless told.', 64)),
  },
  closed,
);
export type CallsQuery = Static<typeof CallsQuery>;

const callFields = {
  i_cdr: Type.Integer({ description: 'Number of the call record, here and for ever' }),
  i_account: Type.Integer(),
  call_id: Type.String({ description: "The switch's id of the call" }),
  cli: Type.String({
    description: 'Calling number, E.164 where that is certain; empty for an anonymous caller',
  }),
  cld: Type.String({ description: 'Called number, E.164 where that is certain' }),
  cli_in: nullable('string', 'As the switch wrote it, where that differs from cli'),
  cld_in: nullable('string', 'As the switch wrote it, where that differs from cld'),
  direction: oneOf(DIRECTIONS, 'Seen from the account'),
  start_time: Type.String({ description: 'RFC 3339, UTC' }),
  connect_time: nullable('string', 'null: not answered'),
  disconnect_time: nullable('string'),
  duration_s: Type.Number({ description: 'Whole call, ringing included' }),
  billed_duration_s: Type.Number(),
  result: oneOf(CALL_RESULTS, 'How it ended'),
  disconnect_cause: nullable('string', "The switch's own word for it"),
  country: nullable('string', 'ISO 3166-1 alpha-2'),
  description: nullable('string'),
  cost: nullable('string', 'Decimal; null: not rated'),
  currency: Type.String({ description: 'ISO 4217' }),
  remote_ip: nullable('string'),
  user_agent: nullable('string'),
  flags: Type.Array(oneOf(CDR_FLAGS, 'What is odd about it'), { description: 'Odd but real things' }),
  source: Type.String({ description: 'The switch that told of it' }),
};

export const Call = Type.Object(callFields, { title: 'Call' });
export type Call = Static<typeof Call>;

export const CallDetail = Type.Object(
  {
    ...callFields,
    source_key: nullable(
      'string',
      'What the record is recognised by when it comes again; null with masked numbers',
    ),
    file: nullable('string', 'The file that it came in, or the route'),
    line: Type.Unsafe<number | null>({ type: ['integer', 'null'], description: 'Its line there, from 1' }),
    i_import: Type.Unsafe<number | null>({
      type: ['integer', 'null'],
      description: 'The import that brought it',
    }),
    attributes: Type.Record(Type.String(), Type.Unknown(), { description: 'What else the source gave' }),
  },
  { title: 'CallDetail' },
);

const dataCompleteTo = nullable(
  'string',
  'Up to when the switches have told their calls; null before the first. Later calls may still be missing.',
);

const replicaLag = Type.Union([Type.Number(), Type.Null()], {
  description: 'Seconds that the replica which answered was at most behind; null where there are none.',
});

/** What the data in an answer is worth. */
const freshness = { data_complete_to: dataCompleteTo, replica_lag_s: replicaLag };

/** An answer's common form around its data. */
export function answer<Data extends TSchema, More extends Record<string, TSchema> = Record<never, TSchema>>(
  data: Data,
  more: More = {} as More,
) {
  return Type.Object(
    {
      success: Type.Literal(true),
      data,
      ...more,
      duration_ms: Type.Number({ description: 'Time that the answer took here, in milliseconds' }),
    },
    { description: 'What was asked for' },
  );
}

export const CallsAnswer = answer(Type.Array(Call), {
  total: Type.Optional(Type.Integer({ description: 'How many calls match' })),
  next_cursor: nullable('string', 'For the next page; null: this was the last'),
  ...freshness,
});
/** GET /cdrs answers in one of two forms. */
export const CallsForms = {
  description:
    'A page, or with `Accept: text/csv` the whole range as a file, with `x-data-complete-to` and `x-replica-lag-s` as they were when it began',
  content: {
    'application/json': { schema: CallsAnswer },
    'text/csv': { schema: Type.String({ description: 'RFC 4180 with a header; times with their offset' }) },
  },
};
export const CallAnswer = answer(CallDetail, freshness);

export const CallParams = Type.Object({
  i_cdr: Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: 'Number of the call record',
  }),
});

export const ConsumptionQuery = Type.Object(
  {
    i_account: iAccount,
    from: Type.Optional(
      text(
        'An instant (RFC 3339 with a zone) or a date: its beginning in the zone. Without it: the month of `to`.',
        40,
      ),
    ),
    to: Type.Optional(text('As from; not included. Without it: now.', 40)),
    granularity: Type.Optional(oneOf(GRANULARITIES, 'Size of a bucket by the wall clock; day unless told.')),
    time_zone: Type.Optional(
      text("The zone of the wall clock, an IANA name; the account's unless told.", 64),
    ),
    group_by: Type.Optional(oneOf(GROUPINGS, 'Splits each bucket; only groups with calls are listed.')),
  },
  closed,
);
export type ConsumptionQuery = Static<typeof ConsumptionQuery>;

const sums = {
  calls: Type.Integer(),
  answered: Type.Integer(),
  seconds: Type.Number({ description: 'Whole calls, ringing included' }),
  billed_seconds: Type.Number(),
  cost: Type.Array(
    Type.Object({ currency: Type.String(), amount: Type.String({ description: 'Decimal' }) }),
    {
      description:
        'By currency. Empty: none of the calls has a price, which is not the same as free of charge.',
    },
  ),
};

export const Bucket = Type.Object(
  {
    from: Type.String({ description: "RFC 3339 with the zone's offset" }),
    to: Type.String(),
    direction: Type.Optional(oneOf(DIRECTIONS, 'With group_by=direction')),
    country: Type.Optional(nullable('string', 'With group_by=country; null where it is not known')),
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

export const PostQuery = Type.Object(
  {
    source: Type.Optional(
      text('The switch that the records are of. A record is taken in once from each source.', 200),
    ),
    create_accounts: Type.Optional(
      Type.Boolean({
        description: 'Make accounts that do not exist yet, instead of setting their records aside.',
      }),
    ),
    uuid: Type.Optional(text("The call's id, which FreeSWITCH adds to the address; not used.", 200)),
  },
  closed,
);

const posted = (description: string) => Type.Optional(Type.String({ description }));
const postedTime = (description: string) => posted(`${description}, RFC 3339 with its zone`);
const postedNumber = (description: string) =>
  Type.Optional(Type.Union([Type.Number(), Type.String()], { description }));

/** For the document alone: each record is checked by itself (posted_record.ts), so that one does not refuse the rest. */
export const PostedRecord = Type.Object(
  {
    account: posted("The account's code"),
    i_account: Type.Optional(Type.Integer({ description: 'Or its number' })),
    call_id: posted("The switch's id of the call"),
    source_key: posted('What the record is recognised by when it is sent again; else all that it says'),
    cli: posted('Calling number; empty for an anonymous caller'),
    cld: posted('Called number'),
    direction: Type.Optional(oneOf(DIRECTIONS, 'Told by the numbers where it is left out')),
    start_time: Type.String({ description: 'RFC 3339 with its zone' }),
    connect_time: postedTime('When it was answered'),
    disconnect_time: postedTime('Its end'),
    duration_s: postedNumber('The whole call, ringing included; needed where disconnect_time is left out'),
    billed_duration_s: postedNumber('From connect_time to disconnect_time where it is left out'),
    result: Type.Optional(
      oneOf(CALL_RESULTS, 'Needed for a call that was not answered, unless its cause tells it'),
    ),
    disconnect_cause: posted("The switch's own word or number for how it ended"),
    country: posted('ISO 3166-1 alpha-2; told by the number where it is left out'),
    description: posted('Of the destination, say'),
    cost: postedNumber('Decimal, best as a text'),
    currency: posted("ISO 4217; the account's where it is left out"),
    remote_ip: posted('Address of the other side'),
    user_agent: posted('Of the telephone'),
    attributes: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'What else there is to keep' }),
    ),
  },
  { title: 'PostedRecord', additionalProperties: false },
);
export const PostBody = Type.Union([
  Type.Array(PostedRecord, { minItems: 1, maxItems: MAX_BATCH }),
  Type.Object(
    { variables: Type.Record(Type.String(), Type.Unknown()) },
    { title: 'FreeswitchDocument', additionalProperties: true },
  ),
]);

export const PostOutcome = Type.Object(
  {
    index: Type.Integer({ description: 'Place in the array, from 0' }),
    status: oneOf(
      ['stored', 'duplicate', 'set_aside'],
      'set_aside: kept with its reason, see `trunkline import rejected`',
    ),
    i_cdr: Type.Optional(Type.Integer()),
    code: Type.Optional(Type.String({ description: 'Why it was set aside' })),
    error: Type.Optional(Type.String({ description: 'The same in words' })),
    field: Type.Optional(Type.String({ description: 'The field at fault' })),
  },
  { title: 'PostOutcome' },
);
export type PostOutcome = Static<typeof PostOutcome>;

export const PostAnswer = answer(Type.Array(PostOutcome), {
  stored: Type.Integer(),
  duplicates: Type.Integer(),
  set_aside: Type.Integer(),
});

export const Failure = Type.Object(
  {
    success: Type.Literal(false),
    error: Type.String({ description: 'In human words' }),
    code: Type.String({ description: 'For machines' }),
    request_id: Type.String(),
  },
  { title: 'Failure', additionalProperties: true },
);

/** The failures that a route may answer with, for the OpenAPI document. */
export function failures<Status extends keyof typeof FAILURE_WORDS>(...statuses: Status[]) {
  const entries = statuses.map((status) => [status, { ...Failure, description: FAILURE_WORDS[status] }]);
  return Object.fromEntries(entries) as { [S in Status]: typeof Failure };
}

const FAILURE_WORDS = {
  400: 'Something is wrong with the request; the fields are named',
  401: 'No valid key',
  403: 'The key may not do this',
  404: 'No such thing, or not for this key',
  413: 'The body is too large',
  415: 'The body is of a type that is not read here',
  426: 'HTTP/1.1 is needed',
  429: 'Too many requests with this key',
  503: 'The database does not answer; try again later',
} as const;
