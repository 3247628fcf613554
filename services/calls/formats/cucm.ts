/**
 * Cisco Unified Communications Manager's CDR files ("CDR Field Descriptions" of its Call Detail Records Administration
 * Guide): a row of names, a row of types, then the records. The columns differ between releases, so each is found by
 * its name, whose case differs too. Times are epoch seconds, 0 where there is none.
 *
 * One call may have several records (forwarded, transferred, conferences): they share the global call id.
 */
import { isIP } from 'node:net';
import type { CallResult, Parsed, SourceRecord } from '../cdr.ts';
import { type CallClock, createCallClock } from '../time/stamps.ts';
import { resultOfQ850 } from './causes.ts';
import type { RowFormat } from './csv_reader.ts';
import {
  badSeconds,
  namedTime,
  quoted,
  readSeconds,
  rejected,
  withBillingFlag,
  wrongColumnCount,
} from './field_values.ts';
import type { SourceOptions } from './reader.ts';
import { SourceError } from './source_error.ts';

const ACCOUNT_FIELD = 'globalCallId_ClusterID';
/** Without these a row is no call. */
const REQUIRED = [
  ...['cdrRecordType', 'globalCallID_callManagerId', 'globalCallID_callId', 'dateTimeOrigination'],
  ...['dateTimeConnect', 'dateTimeDisconnect', 'duration', 'callingPartyNumber', 'originalCalledPartyNumber'],
];
/** What tells a record from the others of its call in releases without `pkid`. */
const IDENTITY = [
  ...['globalCallId_ClusterID', 'globalCallID_callManagerId', 'globalCallID_callId', 'origLegCallIdentifier'],
  ...[
    'destLegCallIdentifier',
    'destLegIdentifier',
    'dateTimeOrigination',
    'dateTimeConnect',
    'dateTimeDisconnect',
  ],
];
/** Columns that are in the record itself; the others become attributes. */
const IN_RECORD: ReadonlySet<string> = new Set(
  [
    ...[
      'cdrRecordType',
      'globalCallID_callManagerId',
      'globalCallID_callId',
      'dateTimeOrigination',
      'duration',
    ],
    ...['dateTimeConnect', 'dateTimeDisconnect', 'callingPartyNumber', 'originalCalledPartyNumber'],
  ].map((name) => name.toLowerCase()),
);
const TYPE =
  /^(INTEGER|BIGINT|SMALLINT|UNIQUEIDENTIFIER|(VAR|N|NVAR)?CHAR ?\(\d+\)|TEXT|DATETIME|BIT|FLOAT)$/i;

const CAUSE = /^\d*$/;
/** The call went on in another record: 126 split (transfer, conference), 393216 likewise in later releases. */
const SPLIT_CAUSES: ReadonlySet<number> = new Set([126, 393_216]);

/** Rows of CUCM's CDR files. */
export function cucmRows(options: SourceOptions): RowFormat {
  const clock = createCallClock(options.timeZone, options.dateOrder);
  let header = options.columns ? readHeader(options.columns, options) : null;

  return {
    get columns() {
      return header?.columns ?? null;
    },
    separator: ',',
    rescue: ['backslash'],
    fits: (count) => header === null || count === header.columns.length,
    parse(fields) {
      // Files that were put together have a header each, perhaps of another release.
      if (isCucmHeader(fields)) {
        header = readHeader(fields, options);
        return { kind: 'skipped' };
      }
      if (header === null)
        throw new SourceError(`the file does not begin with CUCM's row of names (cdrRecordType, …)`);
      if (fields.every((field) => TYPE.test(field))) return { kind: 'skipped' };
      if (fields.length !== header.columns.length) {
        return wrongColumnCount(fields.length, `the header names ${header.columns.length}`);
      }
      return toRecord(fields, header, clock, options.account ?? '');
    },
  };
}

/** Whether a row is CUCM's row of names. That of its CMRs (call quality) begins alike. */
export function isCucmHeader(fields: readonly string[]): boolean {
  return (
    fields[0]?.trim().toLowerCase() === 'cdrrecordtype' &&
    fields.some((f) => /^dateTimeOrigination$/i.test(f))
  );
}

interface Header {
  readonly columns: readonly string[];
  /** Value of the column of that name; '' where the release has none. */
  value(fields: string[], name: string): string;
  readonly accountField: string;
}

function readHeader(columns: readonly string[], options: SourceOptions): Header {
  const places = new Map(columns.map((name, place) => [name.trim().toLowerCase(), place]));
  const missing = REQUIRED.filter((name) => !places.has(name.toLowerCase()));
  if (missing.length > 0)
    throw new SourceError(`the header lacks ${missing.join(', ')}, which CUCM's CDRs have`);
  const accountField = options.accountField ?? ACCOUNT_FIELD;
  if (options.accountField !== undefined && !places.has(accountField.toLowerCase())) {
    throw new SourceError(
      `the header has no column "${accountField}" to name the account; it has ${columns.join(', ')}`,
    );
  }
  return {
    columns,
    accountField,
    value(fields, name) {
      const place = places.get(name.toLowerCase());
      return place === undefined ? '' : fields[place]!;
    },
  };
}

function toRecord(fields: string[], header: Header, clock: CallClock, defaultAccount: string): Parsed {
  const value = (name: string): string => header.value(fields, name);
  const type = value('cdrRecordType');
  if (type !== '1') {
    return rejected('bad_value', 'cdrRecordType', `cdrRecordType is ${quoted(type)}; 1 is a call's record`);
  }
  const billedDurationS = readSeconds(value('duration'));
  if (!(billedDurationS >= 0)) return badSeconds('duration', value('duration'));
  const written = {
    start: value('dateTimeOrigination'),
    connect: value('dateTimeConnect'),
    disconnect: value('dateTimeDisconnect'),
  };
  const durationS = wholeDuration(written.start, written.disconnect, billedDurationS);
  const times = clock.resolve({ ...written, durationS });
  if (times.kind === 'rejected') {
    const names = {
      start: 'dateTimeOrigination',
      connect: 'dateTimeConnect',
      disconnect: 'dateTimeDisconnect',
    };
    return namedTime(times.rejection, names);
  }
  const origCause = value('origCause_value');
  if (!CAUSE.test(origCause)) return badCause('origCause_value', origCause);
  const destCause = value('destCause_value');
  if (!CAUSE.test(destCause)) return badCause('destCause_value', destCause);
  const cause = isGiven(origCause) ? origCause : isGiven(destCause) ? destCause : null;
  const record: SourceRecord = {
    accountCode: value(header.accountField) || defaultAccount,
    callId: [
      value('globalCallId_ClusterID'),
      value('globalCallID_callManagerId'),
      value('globalCallID_callId'),
    ]
      .filter((part) => part !== '')
      .join('/'),
    identity: value('pkid').toLowerCase() || IDENTITY.map(value).join('\u001f'),
    cli: value('callingPartyNumber'),
    cld: value('originalCalledPartyNumber') || value('finalCalledPartyNumber'),
    direction: null,
    startTime: times.startTime,
    connectTime: times.connectTime,
    disconnectTime: times.disconnectTime,
    durationS,
    billedDurationS,
    result: times.connectTime !== null ? 'answered' : unansweredResult(Number(origCause), Number(destCause)),
    disconnectCause: cause,
    country: null,
    description: null,
    cost: null,
    currency: null,
    remoteIp: readAddress(value('origIpv4v6Addr')) ?? readAddress(value('origIpAddr')),
    userAgent: null,
    flags: withBillingFlag(times.flags, durationS, billedDurationS),
    attributes: otherColumns(fields, header.columns),
  };
  return { kind: 'record', record };
}

/** CUCM's `duration` begins with the answer; the whole call begins with the handset off the hook. */
function wholeDuration(origination: string, disconnect: string, fromAnswerS: number): number {
  const whole = Number(disconnect) - Number(origination);
  return Number(origination) > 0 && whole >= fromAnswerS ? whole : fromAnswerS;
}

/** The side that cleared the call gives the cause, the other 0. Clearing normally before the answer is giving up. */
function unansweredResult(origCause: number, destCause: number): CallResult {
  if (SPLIT_CAUSES.has(origCause) || SPLIT_CAUSES.has(destCause)) return 'no_answer';
  if (origCause === 16) return 'cancelled';
  return resultOfQ850(origCause || destCause || 0);
}

/** An address as text, or as the signed 32-bit number of its bytes in reverse order that IPv4 columns hold; 0 is none. */
function readAddress(text: string): string | null {
  if (isIP(text)) return text;
  if (!/^-?\d{1,10}$/.test(text) || Number(text) === 0) return null;
  const bits = Number(text) >>> 0;
  return [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24].join('.');
}

function badCause(field: string, text: string): Parsed {
  return rejected(
    'bad_value',
    field,
    `${field} is ${quoted(text)}; it should be a cause's number, such as 16`,
  );
}

function isGiven(cause: string): boolean {
  return cause !== '' && cause !== '0';
}

function otherColumns(fields: string[], columns: readonly string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [place, name] of columns.entries()) {
    const value = fields[place]!;
    if (value !== '' && !IN_RECORD.has(name.toLowerCase())) attributes[name] = value;
  }
  return attributes;
}
