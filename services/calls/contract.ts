/**
 * The calls service's API as schemas. Requests are validated by them, handlers are typed by them, answers are written by
 * them, and the OpenAPI document is made from them.
 */
import { type Static, Type } from 'typebox';
import type { MonitoringReport } from '#platform/database/monitoring.ts';
import { answer, closed, oneOf, text } from '#platform/http/answers.ts';
import { event } from '#platform/messaging/topic.ts';
import {
  CALL_COLUMNS,
  CALL_RESULTS,
  type CallField,
  CDR_FLAGS,
  DETAIL_COLUMNS,
  DIRECTIONS,
  fieldOf,
  POSTABLE_FIELDS,
  type PostedField,
  type ShownValue,
} from './call_fields.ts';

export const DEFAULT_LIMIT = 100;
export const MAX_LIMIT = 1_000;
export const MAX_BATCH = 10_000;

export const CALL_TYPES = ['all', 'answered', 'non_zero', 'errors', 'missed'] as const;
/** `answered`: connected; `missed`: not; `non_zero`: charged for a time; `errors`: failed on the way. */
export type CallType = (typeof CALL_TYPES)[number];

export const VIEWS = ['records', 'calls'] as const;
/** The unit of a list or a sum: records as the switch wrote them, or calls with all their legs. */
export type View = (typeof VIEWS)[number];

export const ORDERS = ['desc', 'asc'] as const;
export type Order = (typeof ORDERS)[number];

export const nullable = (type: string, description?: string) =>
  Type.Unsafe<string | null>({ type: [type, 'null'], ...(description && { description }) });

export const iAccount = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "The account. A customer's key may leave it out: the default is its own account.",
  }),
);
const end = (description: string) =>
  Type.Optional(
    text(`${description} RFC 3339 with a zone; or a date, which is its beginning in the zone.`, 40),
  );

/** For answers that are also given as CSV, for spreadsheets. */
export const csvParameters = {
  format: Type.Optional(oneOf(['json', 'csv'], 'csv is the same as `Accept: text/csv`.')),
  separator: Type.Optional(
    oneOf([',', ';', 'tab'], 'For text/csv: the separator of cells; a comma by default.'),
  ),
  decimal: Type.Optional(oneOf(['.', ','], 'For text/csv: the decimal sign; a point by default.')),
  bom: Type.Optional(
    Type.Boolean({ description: 'For text/csv: a byte-order mark first, by which Excel recognises UTF-8.' }),
  ),
  columns: Type.Optional(text('For text/csv: the columns, in the wanted order, with commas between.', 500)),
};
export type CsvParameters = Static<ReturnType<typeof Type.Object<typeof csvParameters>>>;

export const include = Type.Optional(
  oneOf(
    ['children'],
    'children: with all accounts below it. `i_account` in the answer names the account of each row.',
  ),
);

export const view = Type.Optional(
  oneOf(
    VIEWS,
    'records: each record as the switch wrote it (the default); calls: all legs of a call as one, counted once.',
  ),
);

export const CallsQuery = Type.Object(
  {
    i_account: iAccount,
    include,
    view,
    from: end('Calls that start at this instant or later.'),
    to: end('Calls that start before this instant.'),
    cli: Type.Optional(
      text(
        "The caller's number in E.164, as the account's country dials it, or as `cli` or `cli_in` show it; or a prefix with * behind it: %2B4930*, 030*. A star of the number itself is \\*.",
      ),
    ),
    cld: Type.Optional(text('The called number, or a prefix with * behind it, as for cli.')),
    number: Type.Optional(
      text(
        "A number, or a prefix with * behind it, that is the caller's, the called one or both, as for cli.",
      ),
    ),
    call_id: Type.Optional(
      text(
        "The switch's id of the call; several legs may share it. Without i_account it is looked up in all accounts that are visible to the key.",
        500,
      ),
    ),
    linked_id: Type.Optional(
      text('The id that the legs of one call share: finds its legs, of every source.', 500),
    ),
    direction: Type.Optional(oneOf(DIRECTIONS, 'Seen from the account.')),
    type: Type.Optional(
      oneOf(
        CALL_TYPES,
        'answered: result is answered; missed: it is not; non_zero: billed for a time; errors: failed on the way. The default is all.',
      ),
    ),
    min_duration_s: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1e9, description: 'Whole call, ringing included, in seconds.' }),
    ),
    i_import: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 2_147_483_647,
        description: 'Only calls that this import stored; see GET /imports.',
      }),
    ),
    order: Type.Optional(oneOf(ORDERS, 'By start: desc, newest first (the default), or asc.')),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MAX_LIMIT,
        description: `Calls on a page: ${DEFAULT_LIMIT} by default.`,
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4_000,
        description: 'next_cursor of the previous page, with the same filters.',
      }),
    ),
    with_total: Type.Optional(
      Type.Boolean({
        description:
          'By default, `total` is given where it costs no count: for account, time and type alone. true counts with any filters, false leaves `total` out.',
      }),
    ),
    time_zone: Type.Optional(
      text(
        "The zone of dates in from and to, and of the times of text/csv, an IANA name. The default is the account's zone with dates, else UTC.",
        64,
      ),
    ),
    ...csvParameters,
  },
  closed,
);
export type CallsQuery = Static<typeof CallsQuery>;

const orNull = <Value>(type: string, about?: string) =>
  Type.Unsafe<Value | null>({ type: [type, 'null'], ...(about && { description: about }) });

/** A field in answers. */
function shownSchema(name: CallField) {
  const { kind, about, nullable } = fieldOf(name);
  const said = about === undefined ? {} : { description: about };
  switch (kind) {
    case 'whole':
      return nullable ? orNull('integer', about) : Type.Integer(said);
    case 'seconds':
      return Type.Number(said);
    case 'direction':
      return oneOf(DIRECTIONS, about ?? '');
    case 'result':
      return oneOf(CALL_RESULTS, about ?? '');
    case 'flags':
      return Type.Array(oneOf(CDR_FLAGS, 'Odd but real properties of the call'), said);
    case 'attributes':
      return Type.Record(Type.String(), Type.Unknown(), said);
    default:
      return nullable ? orNull('string', about) : Type.String(said);
  }
}

const shownSchemas = <Name extends CallField>(names: readonly Name[]) =>
  Object.fromEntries(names.map((name) => [name, shownSchema(name)])) as {
    [Shown in Name]: Type.TUnsafe<ShownValue<Shown>>;
  };
const listed = shownSchemas(CALL_COLUMNS);

export const Call = Type.Object(listed, { title: 'Call' });
export type Call = Static<typeof Call>;

export const CallDetail = Type.Object(
  { ...listed, ...shownSchemas(DETAIL_COLUMNS) },
  { title: 'CallDetail' },
);

const dataCompleteTo = nullable(
  'string',
  'The time up to which the switches have sent their calls; null before the first. Later calls may still be missing.',
);

const replicaLag = Type.Union([Type.Number(), Type.Null()], {
  description: 'The largest lag of the replica that answered, in seconds; null where there are no replicas.',
});

/** How complete and how fresh the data in an answer is. */
export const freshness = { data_complete_to: dataCompleteTo, replica_lag_s: replicaLag };

export const CallsAnswer = answer(Type.Array(Call), {
  total: Type.Optional(Type.Integer({ description: 'Number of matching calls' })),
  next_cursor: nullable('string', 'Cursor of the next page; null: this was the last page'),
  ...freshness,
});
export const CallAnswer = answer(CallDetail, freshness);

export const CallParams = Type.Object({
  i_cdr: Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "Number of the call record. To find a call by the switch's own id, use /cdrs?call_id=",
  }),
});

export const PostQuery = Type.Object(
  {
    source: Type.Optional(
      text('The switch that wrote the records. A record is stored once from each source.', 200),
    ),
    create_accounts: Type.Optional(
      Type.Boolean({
        description: 'Create accounts that do not exist yet, instead of rejecting their records.',
      }),
    ),
    credits: Type.Optional(
      Type.Boolean({ description: 'Costs below 0 are money: the records are credit notes.' }),
    ),
    on_conflict: Type.Optional(
      oneOf(
        ['set-aside', 'replace'],
        'For a record that contradicts a stored call: set-aside (the default) rejects and keeps the record, replace lets it replace the call.',
      ),
    ),
    call_ids: Type.Optional(
      oneOf(
        ['unique', 'reused'],
        'reused: the switch uses its call ids again; a record with another start is another call. The default is unique.',
      ),
    ),
    uuid: Type.Optional(text("The call's id, which FreeSWITCH adds to the address; not used.", 200)),
  },
  closed,
);

/** A field of a posted record. */
function postedSchema(name: PostedField) {
  const { kind, posted = '' } = fieldOf(name);
  const said = { description: posted };
  if (name === 'start_time') return Type.String(said);
  switch (kind) {
    case 'whole':
      return Type.Optional(Type.Integer(said));
    case 'seconds':
    case 'amount':
      return Type.Optional(Type.Union([Type.Number(), Type.String()], said));
    case 'attributes':
      return Type.Optional(Type.Record(Type.String(), Type.Unknown(), said));
    default:
      return Type.Optional(Type.String(said));
  }
}

/** For the document only: posted_record.ts checks each record alone, so that one invalid record does not refuse the rest. */
export const PostedRecord = Type.Object(
  Object.fromEntries(POSTABLE_FIELDS.map((name) => [name, postedSchema(name)])),
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
      ['stored', 'completed', 'duplicate', 'conflict', 'set_aside'],
      'completed: it filled missing values of a stored call, or replaced the call; conflict: it contradicts a stored call; conflict and set_aside records are kept with their reason, for an operator to mend',
    ),
    i_cdr: Type.Optional(Type.Integer({ description: 'Number of the stored call' })),
    code: Type.Optional(Type.String({ description: 'Why the record was rejected' })),
    error: Type.Optional(Type.String({ description: 'The reason in words' })),
    field: Type.Optional(Type.String({ description: 'The field at fault' })),
    differences: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), stored: Type.String(), told: Type.String() }), {
        description: 'The values that contradict the stored call',
      }),
    ),
  },
  { title: 'PostOutcome' },
);
export type PostOutcome = Static<typeof PostOutcome>;

export const PostAnswer = answer(Type.Array(PostOutcome), {
  read: Type.Integer({ description: 'The sum of the five below' }),
  stored: Type.Integer(),
  completed: Type.Integer(),
  duplicates: Type.Integer(),
  conflicts: Type.Integer(),
  set_aside: Type.Integer(),
});

export const SOURCE_STATES = ['following', 'waiting', 'failing', 'left'] as const;

export interface SourceReport {
  readonly path: string;
  /** waiting: there is nothing at the path yet, or no room on PostgreSQL's disk; failing: it can't be read, or no process reads it; left: its reader has ended. */
  readonly state: (typeof SOURCE_STATES)[number];
  /** The reason; '' for a healthy source. */
  readonly detail: string;
  /** The process that reads it. Null: none. */
  readonly reader: string | null;
  /** Bytes that are written and not stored yet. */
  readonly bytes_behind: number;
  /** Rows that were stored or rejected since the source was first followed. */
  readonly rows: number;
  /** RFC 3339: when the last row was written. Null before the first. */
  readonly last_row_at: string | null;
  /** Since then, in seconds. 0 while unread rows remain. */
  readonly silent_s: number | null;
  /** A silence of more seconds raises an alert. Null in the first week. */
  readonly silence_limit_s: number | null;
}

/** A switch, as `GET /sources` shows it. */
export interface SourceActivity {
  readonly source: string;
  /** When its last rows came, and from which file or route. Null: none in four weeks. */
  readonly last_at: string | null;
  readonly last_file: string | null;
  /** The end of the last call that it reported, and the delay of that report, in seconds. */
  readonly last_call_at: string | null;
  readonly lag_s: number | null;
  /** Over this hour and the one before. */
  readonly rows_per_minute: number;
  /** Since midnight in UTC. Of the rejected rows only those that still wait. */
  readonly set_aside_today: number;
  readonly refused_today: number;
  /** Since its last rows, in seconds; and the seconds of silence that raise an alert. Null in the first week. */
  readonly silent_s: number | null;
  readonly silence_limit_s: number | null;
}

/** The answer of `GET /monitoring`. */
export interface CallsReport extends MonitoringReport {
  readonly sources: readonly SourceReport[];
  readonly switches: readonly SourceActivity[];
}

/** An account as it is after what has happened. Its name stays here. */
const AccountFacts = Type.Object({
  i_account: Type.Integer(),
  code: Type.String(),
  ...{ currency: Type.String(), time_zone: Type.String(), country: nullable('string') },
  closed_from: nullable('string', 'RFC 3339; null: it is open'),
});

export const accountCreated = event({
  ...{ name: 'account.created', version: 1, body: AccountFacts },
  purpose: 'An account was made, by an operator or by an import. Its key is the account.',
});
export const accountChanged = event({
  ...{ name: 'account.changed', version: 1, body: AccountFacts },
  purpose: 'An account was set otherwise, renamed, moved, closed or opened again. Its key is the account.',
});

const count = (description: string) => Type.Integer({ minimum: 0, description });
export const callsImported = event({
  ...{ name: 'calls.imported', version: 1 },
  purpose:
    'A batch of calls was committed, from a file, a post or a followed source. A batch that brings nothing new is not told. Its key is the source.',
  body: Type.Object({
    source: Type.String(),
    accounts: Type.Array(Type.Integer(), {
      description: 'i_account of those whose calls were stored or completed',
    }),
    from: nullable(
      'string',
      'The first start of these calls, RFC 3339; null: rows were rejected, and no more',
    ),
    to: nullable('string', 'The last start'),
    counts: Type.Object({
      stored: count('New calls'),
      completed: count('Stored calls of which more is known now'),
      rejected: count('Rows that are in quarantine'),
    }),
  }),
});
