/**
 * The calls service's API as schemas: requests are checked by them, handlers typed, answers written and the OpenAPI
 * document made.
 */
import { type Static, Type } from 'typebox';
import type { MonitoringReport } from '#platform/database/monitoring.ts';
import { answer, closed, oneOf, text } from '#platform/http/answers.ts';
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
/** What a list or a sum is of: records as the switch wrote them, or calls with all their legs. */
export type View = (typeof VIEWS)[number];

export const ORDERS = ['desc', 'asc'] as const;
export type Order = (typeof ORDERS)[number];

export const nullable = (type: string, description?: string) =>
  Type.Unsafe<string | null>({ type: [type, 'null'], ...(description && { description }) });

export const iAccount = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "The account. A customer's key may leave it out: its own account then.",
  }),
);
const end = (description: string) =>
  Type.Optional(
    text(`${description} RFC 3339 with a zone; or a date, which is its beginning in the zone.`, 40),
  );

/** Of answers that are given as CSV too, for spreadsheets. */
export const csvParameters = {
  format: Type.Optional(oneOf(['json', 'csv'], 'csv is the same as `Accept: text/csv`.')),
  separator: Type.Optional(
    oneOf([',', ';', 'tab'], 'For text/csv: what stands between cells; a comma unless told.'),
  ),
  decimal: Type.Optional(oneOf(['.', ','], 'For text/csv: the decimal sign; a point unless told.')),
  bom: Type.Optional(
    Type.Boolean({ description: 'For text/csv: a byte-order mark first, by which Excel knows UTF-8.' }),
  ),
  columns: Type.Optional(
    text('For text/csv: the columns, in the order in which they are wanted, with commas between.', 500),
  ),
};
export type CsvParameters = Static<ReturnType<typeof Type.Object<typeof csvParameters>>>;

export const include = Type.Optional(
  oneOf(
    ['children'],
    'children: with all accounts below it, which are named in `i_account` of what is given.',
  ),
);

export const view = Type.Optional(
  oneOf(
    VIEWS,
    'records: each record as the switch wrote it (the standard); calls: all legs of a call as one, counted once.',
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
        "The switch's id of the call; several legs may share it. Without i_account it is looked up in all accounts that the key sees.",
        500,
      ),
    ),
    linked_id: Type.Optional(text('What the legs of one call share: its legs, of every source.', 500)),
    direction: Type.Optional(oneOf(DIRECTIONS, 'Seen from the account.')),
    type: Type.Optional(
      oneOf(
        CALL_TYPES,
        'answered: result is answered; missed: it is not; non_zero: billed for a time; errors: failed on the way. Without it: all.',
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
    time_zone: Type.Optional(
      text(
        "The zone of dates in from and to, and of the times of text/csv, an IANA name. Unless told: with dates the account's, else UTC.",
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
      return Type.Array(oneOf(CDR_FLAGS, 'What is odd about it'), said);
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
  'Up to when the switches have told their calls; null before the first. Later calls may still be missing.',
);

const replicaLag = Type.Union([Type.Number(), Type.Null()], {
  description: 'Seconds that the replica which answered was at most behind; null where there are none.',
});

/** What the data in an answer is worth. */
export const freshness = { data_complete_to: dataCompleteTo, replica_lag_s: replicaLag };

export const CallsAnswer = answer(Type.Array(Call), {
  total: Type.Optional(Type.Integer({ description: 'How many calls match' })),
  next_cursor: nullable('string', 'For the next page; null: this was the last'),
  ...freshness,
});
export const CallAnswer = answer(CallDetail, freshness);

export const CallParams = Type.Object({
  i_cdr: Type.Integer({
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "Number of the call record. By the switch's own id a call is found with /cdrs?call_id=",
  }),
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
    credits: Type.Optional(
      Type.Boolean({ description: 'Costs below nought are money: the records are credit notes.' }),
    ),
    on_conflict: Type.Optional(
      oneOf(
        ['set-aside', 'replace'],
        'What becomes of a record that contradicts a stored call: it is kept aside, or takes its place. set-aside unless told.',
      ),
    ),
    call_ids: Type.Optional(
      oneOf(
        ['unique', 'reused'],
        'reused: the switch uses its call ids again; a record of another start is another call. unique unless told.',
      ),
    ),
    uuid: Type.Optional(text("The call's id, which FreeSWITCH adds to the address; not used.", 200)),
  },
  closed,
);

/** A field of a record that is posted. */
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

/** For the document alone: each record is checked by itself (posted_record.ts), so that one does not refuse the rest. */
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
      'completed: it filled what a stored call lacked, or replaced it; conflict: it contradicts one; that and set_aside are kept with their reason, for an operator to mend',
    ),
    i_cdr: Type.Optional(Type.Integer({ description: 'Of the call that is stored' })),
    code: Type.Optional(Type.String({ description: 'Why it was set aside' })),
    error: Type.Optional(Type.String({ description: 'The same in words' })),
    field: Type.Optional(Type.String({ description: 'The field at fault' })),
    differences: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), stored: Type.String(), told: Type.String() }), {
        description: 'Where it contradicts the stored call',
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
  /** waiting: there is nothing at the path yet, or no room on PostgreSQL's disk; failing: it can't be read, or nobody reads it; left: its reader has ended. */
  readonly state: (typeof SOURCE_STATES)[number];
  /** Why; '' where all is well. */
  readonly detail: string;
  /** Who reads it; null: nobody. */
  readonly reader: string | null;
  /** Bytes that are written and not stored. */
  readonly bytes_behind: number;
  /** Rows that were stored, or set aside, since it was followed first. */
  readonly rows: number;
  /** RFC 3339: when the last row was written; null before the first. */
  readonly last_row_at: string | null;
  /** Since then, in seconds; 0 while there is more to be read. */
  readonly silent_s: number | null;
  /** From how many seconds on that is an alert; null in its first week. */
  readonly silence_limit_s: number | null;
}

/** A switch, as `GET /sources` shows it. */
export interface SourceActivity {
  readonly source: string;
  /** When its last rows came, and from which file or route; null: none in four weeks. */
  readonly last_at: string | null;
  readonly last_file: string | null;
  /** The end of the last call that it told, and how long after that it told it, in seconds. */
  readonly last_call_at: string | null;
  readonly lag_s: number | null;
  /** Over this hour and the one before. */
  readonly rows_per_minute: number;
  /** Since midnight in UTC; of rows set aside those that still wait. */
  readonly set_aside_today: number;
  readonly refused_today: number;
  /** Since its last rows, in seconds; from how many on that is an alert: null in its first week. */
  readonly silent_s: number | null;
  readonly silence_limit_s: number | null;
}

/** What `GET /monitoring` shows. */
export interface CallsReport extends MonitoringReport {
  readonly sources: readonly SourceReport[];
  readonly switches: readonly SourceActivity[];
}
