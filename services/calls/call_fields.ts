/**
 * The table of a call's fields. These are made from it: the fields of lists, the fields of a posted record, the fields to
 * which a column of a CSV can be mapped, the stored and the masked fields, and the schemas of the contract. A new field
 * whose value is a text that is kept as it is (`plain`) needs a migration and a line here, and nothing else.
 */

export const DIRECTIONS = ['outbound', 'inbound', 'internal', 'unknown'] as const;
/** Seen from the account: outbound leaves to the network, inbound comes from it, internal stays between extensions. */
export type Direction = (typeof DIRECTIONS)[number];

export const CALL_RESULTS = ['answered', 'no_answer', 'busy', 'cancelled', 'failed'] as const;
/** How a call ended. `failed` is an error on the way (congestion, unallocated number, rejected …), as Sippy's `errors`. */
export type CallResult = (typeof CALL_RESULTS)[number];

/** Odd but real properties that do not keep a record out. Stored with it. */
export const CDR_FLAGS = [
  /** billed longer than the call lasted */
  'billed_longer_than_duration',
  /** the wall-clock stamp falls in a repeated hour and nothing decided which pass; the first was taken */
  'ambiguous_time',
  /** the wall-clock stamp falls in a skipped hour; it was read with the offset before the gap */
  'nonexistent_time',
  /** the stamps contradict each other (answered before the start, ended before the answer) */
  'times_out_of_order',
  /** starts more than a day after its import */
  'in_the_future',
  /** the source's word for the result contradicts its answer time and billed time, which count */
  'result_contradicted',
  /** the source does not report how it ended, or with an unknown word; without other evidence the result is no_answer */
  'result_unknown',
  /** the source's word for the direction is unknown; the numbers decided, the word is among the attributes */
  'direction_unknown',
  /** nothing shows whether it was answered; it has a duration, so it counts as answered */
  'answer_inferred',
  /** the source does not report the billed time; it was taken from the times and the duration */
  'billed_inferred',
  /** the source gave the cost -1, which means that it could not be rated */
  'not_rated',
  /** starts after its account was closed, as far as was known when it came in */
  'account_closed',
  /** its answer is the switch's own: a queue's, a menu's or a mailbox's; no other party answered */
  'answered_by_switch',
] as const;
export type CdrFlag = (typeof CDR_FLAGS)[number];

/** The kind of a field's value. `amount`: a decimal as text. `date`: the day of a time that stands in a column of its own. */
type Kind =
  | 'whole'
  | 'text'
  | 'time'
  | 'date'
  | 'seconds'
  | 'amount'
  | 'direction'
  | 'result'
  | 'flags'
  | 'attributes';

interface Field {
  readonly kind: Kind;
  /** In answers: in every list, or only for a single call. In this order, in pages and files. */
  readonly shown?: 'in lists' | 'alone';
  /** Its description in the API's document. */
  readonly about?: string;
  /** An answer may have null for it. */
  readonly nullable?: true;
  /** A column of calls.cdrs, which COPY writes. */
  readonly stored?: true;
  /** Its description in a posted record. */
  readonly posted?: string;
  /** The longest posted text, in characters. */
  readonly longest?: number;
  /** A text of it without a figure or letters of its own, such as N/A, means "none" (absent.ts). */
  readonly figure?: true;
  /** A column of a CSV can be mapped to it. */
  readonly mapped?: true;
  /** The bit of calls.cdrs.told for a value from the source (told.ts). Never change one: stored calls have it. */
  readonly told?: number;
  /** How callers with masked numbers see it. Left out: unmasked, or api/lists/masking.ts has its own rule. */
  readonly masked?: 'as a number' | 'as a text';
  /** A text that is kept as the source wrote it, and that no rule treats specially. */
  readonly plain?: true;
}

const CALL_ID = "The switch's id of the call";
const COUNTRY = 'ISO 3166-1 alpha-2';
const CURRENCY = 'ISO 4217';
const WORDS_FOR_ONE = "or another program's word for one";
const ZONED = 'RFC 3339 with its zone';

/** In the order of lists. The first is the first that COPY writes. */
const FIELDS = {
  i_cdr: {
    kind: 'whole',
    shown: 'in lists',
    about: 'Number of the call record, here and for ever',
    stored: true,
  },
  i_account: { kind: 'whole', shown: 'in lists', stored: true, posted: 'Or its number', figure: true },
  account: { kind: 'text', posted: "The account's code", longest: 200, mapped: true, told: 1 },
  call_id: {
    ...{ kind: 'text', shown: 'in lists', about: CALL_ID, stored: true },
    ...{ posted: CALL_ID, longest: 255, figure: true, mapped: true, told: 2 },
  },
  direction: {
    ...{ kind: 'direction', shown: 'in lists', about: 'Seen from the account', stored: true },
    posted: `${DIRECTIONS.join(', ')}, ${WORDS_FOR_ONE}; concluded from the numbers where it is left out or unknown`,
    ...{ longest: 200, mapped: true, told: 4_096 },
  },
  cli: {
    ...{ kind: 'text', shown: 'in lists', stored: true, masked: 'as a number' },
    about: 'Calling number, E.164 where that is certain; empty for an anonymous caller',
    ...{ posted: 'Calling number; empty for an anonymous caller', longest: 128, mapped: true, told: 4 },
  },
  cld: {
    ...{ kind: 'text', shown: 'in lists', stored: true, masked: 'as a number' },
    about: 'Called number, E.164 where that is certain',
    ...{ posted: 'Called number', longest: 128, mapped: true, told: 8 },
  },
  cli_in: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a number' },
    about: 'As the switch wrote it, where that differs from cli',
  },
  cld_in: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a number' },
    about: 'As the switch wrote it, where that differs from cld',
  },
  start_date: { kind: 'date', figure: true, mapped: true },
  start_time: {
    ...{ kind: 'time', shown: 'in lists', about: 'RFC 3339, UTC', stored: true },
    ...{ posted: ZONED, figure: true, mapped: true },
  },
  connect_date: { kind: 'date', figure: true, mapped: true },
  connect_time: {
    ...{ kind: 'time', nullable: true, shown: 'in lists', stored: true },
    about: 'When it was answered; null: unknown, or not answered',
    ...{ posted: `When it was answered, ${ZONED}`, figure: true, mapped: true, told: 16 },
  },
  disconnect_date: { kind: 'date', figure: true, mapped: true },
  disconnect_time: {
    ...{ kind: 'time', nullable: true, shown: 'in lists', stored: true },
    ...{ posted: `Its end, ${ZONED}`, figure: true, mapped: true, told: 32 },
  },
  duration_s: {
    ...{ kind: 'seconds', shown: 'in lists', about: 'Whole call, ringing included', stored: true },
    posted: 'The whole call, ringing included; needed where disconnect_time is left out',
    ...{ figure: true, mapped: true, told: 64 },
  },
  billed_duration_s: {
    ...{ kind: 'seconds', shown: 'in lists', stored: true },
    posted: 'From the answer to the end where it is left out, never longer than duration_s',
    ...{ figure: true, mapped: true, told: 128 },
  },
  result: {
    ...{ kind: 'result', shown: 'in lists', about: 'How the call ended', stored: true },
    posted: `${CALL_RESULTS.join(', ')}, ${WORDS_FOR_ONE}. Decides where neither connect_time nor billed_duration_s is given`,
    ...{ longest: 200, mapped: true, told: 256 },
  },
  disconnect_cause: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a text' },
    about: "The switch's own word for it",
    posted: "The switch's own word or number for the end of the call",
    ...{ longest: 200, mapped: true, told: 1_024 },
  },
  country: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', about: COUNTRY, stored: true },
    posted: `${COUNTRY}; concluded from the number where it is left out`,
    ...{ longest: 2, mapped: true, told: 8_192 },
  },
  description: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a text', plain: true },
    ...{ posted: "A description, such as the destination's", longest: 1_000, mapped: true, told: 65_536 },
  },
  cost: {
    ...{ kind: 'amount', nullable: true, shown: 'in lists', about: 'Decimal; null: not rated', stored: true },
    posted: 'Decimal of at most 40 digits, kept exactly; -1: not rated',
    ...{ figure: true, mapped: true, told: 16_384 },
  },
  currency: {
    ...{ kind: 'text', shown: 'in lists', about: CURRENCY, stored: true },
    posted: `${CURRENCY}; the account's where it is left out`,
    ...{ longest: 3, figure: true, mapped: true, told: 32_768 },
  },
  remote_ip: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a text', plain: true },
    ...{ posted: 'IP address of the other side', longest: 64, figure: true, mapped: true, told: 131_072 },
  },
  user_agent: {
    ...{ kind: 'text', nullable: true, shown: 'in lists', stored: true, masked: 'as a text', plain: true },
    ...{ posted: 'Of the telephone', longest: 500, mapped: true, told: 262_144 },
  },
  flags: { kind: 'flags', shown: 'in lists', about: 'Odd but real properties of the call', stored: true },
  source: {
    ...{ kind: 'text', shown: 'in lists', about: 'The switch that reported it', stored: true },
    masked: 'as a text',
  },
  linked_id: {
    ...{ kind: 'text', shown: 'in lists', stored: true },
    about:
      "What the legs of one call share, within an account and source: the switch's linkedid or its like, else call_id",
    posted: 'The id that the legs of one call share; call_id where it is left out',
    ...{ longest: 255, figure: true, mapped: true, told: 1_048_576 },
  },
  source_key: {
    ...{ kind: 'text', nullable: true, shown: 'alone', stored: true },
    about: 'The key by which the record is recognised when it comes again; null with masked numbers',
    posted: 'Distinguishes the record from others of its call, or identifies it where it has no call_id',
    ...{ longest: 255, figure: true },
  },
  file: {
    ...{ kind: 'text', nullable: true, shown: 'alone', about: 'The file that it came from, or the route' },
    masked: 'as a text',
  },
  line: {
    kind: 'whole',
    nullable: true,
    shown: 'alone',
    about: 'Its line in the file, from 1',
    stored: true,
  },
  i_import: {
    kind: 'whole',
    nullable: true,
    shown: 'alone',
    about: 'The import that stored it',
    stored: true,
  },
  attributes: {
    ...{ kind: 'attributes', shown: 'alone', about: 'Other values of the source', stored: true },
    posted: 'Other values to keep',
  },
  told: { kind: 'whole', stored: true },
} as const satisfies Readonly<Record<string, Field>>;

type Fields = typeof FIELDS;
export type CallField = keyof Fields;
/** The names of fields for which the table says so. */
type NamesWhere<Said> = { [Name in CallField]: Fields[Name] extends Said ? Name : never }[CallField];

export const fieldOf = (name: CallField): Field => FIELDS[name];

const namesWhere = <Name extends CallField>(is: (field: Field) => boolean): readonly Name[] =>
  (Object.keys(FIELDS) as Name[]).filter((name) => is(FIELDS[name]));

/** A call's fields in lists, in this order. */
export type CallColumn = NamesWhere<{ shown: 'in lists' }>;
export const CALL_COLUMNS = namesWhere<CallColumn>(({ shown }) => shown === 'in lists');
/** The further fields of a single call. */
export type DetailColumn = NamesWhere<{ shown: 'alone' }>;
export const DETAIL_COLUMNS = namesWhere<DetailColumn>(({ shown }) => shown === 'alone');

/** Numerics that are shown as numbers. */
type SecondsField = NamesWhere<{ kind: 'seconds' }>;
export const SECONDS_COLUMNS = namesWhere<SecondsField>(({ kind }) => kind === 'seconds');
type TimeField = NamesWhere<{ kind: 'time' }>;
export const TIME_COLUMNS = namesWhere<TimeField>(({ kind }) => kind === 'time');

/** The columns that COPY writes, in its order: i_cdr first, those of plain texts last. */
type StoredField = NamesWhere<{ stored: true }>;
export const COPY_COLUMNS: readonly StoredField[] = [
  ...namesWhere<StoredField>(({ stored, plain }) => stored === true && plain !== true),
  ...namesWhere<StoredField>(({ stored, plain }) => stored === true && plain === true),
];

/** A field that a column of a CSV can hold. */
export type MappedField = NamesWhere<{ mapped: true }>;
export const MAPPED_FIELDS = namesWhere<MappedField>(({ mapped }) => mapped === true);

/** The fields that a posted record may have. */
export type PostedField = NamesWhere<{ posted: string }>;
export const POSTABLE_FIELDS = namesWhere<PostedField>(({ posted }) => posted !== undefined);
/** Of those, texts of a certain length. */
export type PostedText = NamesWhere<{ longest: number }>;

/** A field with a bit that says whether the source gave it. */
export type ToldField = NamesWhere<{ told: number }>;
export const TOLD_BITS = Object.fromEntries(
  namesWhere<ToldField>(({ told }) => told !== undefined).map((name) => [name, FIELDS[name].told]),
) as { readonly [Name in ToldField]: Fields[Name]['told'] };

export type MaskedNumber = NamesWhere<{ masked: 'as a number' }>;
export const MASKED_NUMBERS = namesWhere<MaskedNumber>(({ masked }) => masked === 'as a number');
export type MaskedText = NamesWhere<{ masked: 'as a text' }>;
export const MASKED_TEXTS = namesWhere<MaskedText>(({ masked }) => masked === 'as a text');

/** Texts that are kept as the source wrote them. */
export type PlainField = NamesWhere<{ plain: true }>;
type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name;
/** The same by their names in records. Null or left out: unknown. */
export type PlainTexts = { readonly [Name in PlainField as CamelCase<Name>]?: string | null };
const keyOf = <Name extends string>(name: Name) =>
  name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as CamelCase<Name>;
/** Their names in statements and in records, and their bits. */
export const PLAIN_FIELDS = namesWhere<PlainField>(({ plain }) => plain === true).map((name) => ({
  name,
  key: keyOf(name),
  told: TOLD_BITS[name],
}));

/** The plain texts of a record. */
export function plainTexts(textOf: (name: PlainField, key: keyof PlainTexts) => string | null): PlainTexts {
  const texts: { -readonly [Key in keyof PlainTexts]: PlainTexts[Key] } = {};
  for (const { name, key } of PLAIN_FIELDS) texts[key] = textOf(name, key);
  return texts;
}

/** The bits of the plain texts that a record has. */
export function plainTold(texts: PlainTexts): number {
  let told = 0;
  for (const field of PLAIN_FIELDS) if ((texts[field.key] ?? null) !== null) told |= field.told;
  return told;
}

interface ValueOfKind {
  whole: number;
  text: string;
  time: string;
  date: string;
  seconds: number;
  amount: string;
  direction: Direction;
  result: CallResult;
  flags: CdrFlag[];
  attributes: Record<string, unknown>;
}
/** A field's value in answers; instants are RFC 3339 with microseconds, amounts decimal strings. */
export type ShownValue<Name extends CallField> =
  | ValueOfKind[Fields[Name]['kind']]
  | (Fields[Name] extends { nullable: true } ? null : never);

/** A call as the API shows it in lists. */
export type CallRow = { readonly [Name in CallColumn]: ShownValue<Name> };
export type CallDetailRow = CallRow & { readonly [Name in DetailColumn]: ShownValue<Name> };
