/**
 * Cisco Unified Communications Manager's CDR files ("CDR Field Descriptions" of its Call Detail Records Administration
 * Guide): a row of names, a row of types, then the records. The columns differ between releases, so the reader finds each
 * by its name. The case of the names differs too. Times are epoch seconds, 0 where there is none.
 *
 * One call may have several records (forwarded, transferred, conferences): they share the global call id.
 */
import { isIP } from 'node:net';
import { givenValues } from '../absent.ts';
import type { CallResult } from '../call_fields.ts';
import type { Parsed, SourceRecord } from '../cdr.ts';
import { type CallClock, createCallClock } from '../time/stamps.ts';
import { resultOfQ850 } from './causes.ts';
import type { RowFormat } from './csv_reader.ts';
import {
  badSeconds,
  CUT_HEADER,
  listed,
  NOT_TOLD,
  namedTime,
  quoted,
  readSeconds,
  rejected,
  wrongColumnCount,
} from './field_values.ts';
import { normalRowText, rowText } from './normal_values.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

const ACCOUNT_FIELD = 'globalCallId_ClusterID';
/** Without these a row is no call. */
const REQUIRED = [
  ...['cdrRecordType', 'globalCallID_callManagerId', 'globalCallID_callId', 'dateTimeOrigination'],
  ...['dateTimeConnect', 'dateTimeDisconnect', 'duration', 'callingPartyNumber', 'originalCalledPartyNumber'],
];
/** The columns that distinguish a record from the others of its call, in releases without `pkid`. */
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
/** Columns of numbers, instants, addresses and ids. */
const FIGURE =
  /^(?:cdrRecordType|globalCallID_call(?:ManagerId|Id)|.*(?:LegCallIdentifier|LegIdentifier)|dateTime.*|duration|pkid|.*(?:Cause_value|IpAddr|Ipv4v6Addr))$/i;
const TYPE =
  /^(INTEGER|BIGINT|SMALLINT|UNIQUEIDENTIFIER|(VAR|N|NVAR)?CHAR ?\(\d+\)|TEXT|DATETIME|BIT|FLOAT)$/i;

/** The call went on in another record: 126 split (transfer, conference), 393216 likewise in later releases. */
const SPLIT_CAUSES: ReadonlySet<string> = new Set(['126', '393216']);
/** Cisco's own codes beside those of Q.850: precedence, failovers, full conferences, the last party dropped. */
const CISCO_ERRORS: ReadonlySet<string> = new Set(
  '129 131 132 133 134 135 136 137 138 139 140 262144 458752'.split(' '),
);
const Q850_CODES = 128;
/** From here on a code stands for a SIP status (CCM_SIP_486_BUSY_HERE …); its last seven bits are Q.850's cause. */
const SIP_CODES = 1 << 24;

/** Rows of CUCM's CDR files. */
export function cucmRows(options: SourceOptions): RowFormat {
  const clock = createCallClock(options.timeZone, options.dateOrder);
  let header = options.columns ? readHeader(options.columns, options) : null;

  return {
    get columns() {
      return header?.columns ?? null;
    },
    get needsHeader() {
      return header === null;
    },
    separator: ',',
    rescue: ['backslash'],
    fits: (count) => (header === null ? count >= REQUIRED.length : count === header.columns.length),
    parse(fields, ended) {
      // In concatenated files, each file has a header, perhaps of another release.
      if (isCucmHeader(fields)) {
        if (!ended && header !== null) return CUT_HEADER;
        header = readHeader(fields, options);
        return { kind: 'skipped' };
      }
      if (header === null)
        throw new SourceError(`the file does not begin with CUCM's row of names (cdrRecordType, …)`);
      if (fields.every((field) => TYPE.test(field))) return { kind: 'skipped' };
      if (fields.length !== header.columns.length) {
        return wrongColumnCount(fields.length, `the header names ${header.columns.length}`);
      }
      return toRecord(fields, header, clock);
    },
  };
}

/** Whether a row is CUCM's row of names. The row of names of its CMRs (call quality) begins alike. */
export function isCucmHeader(fields: readonly string[]): boolean {
  return (
    fields[0]?.trim().toLowerCase() === 'cdrrecordtype' &&
    fields.some((f) => /^dateTimeOrigination$/i.test(f))
  );
}

interface Header {
  readonly columns: readonly string[];
  /** Value of the column of that name; '' where the release has none. */
  value(fields: readonly string[], name: string): string;
  readonly accountField: string;
  /** Places of the values that are no text. */
  readonly figures: ReadonlySet<number>;
}

function readHeader(columns: readonly string[], options: SourceOptions): Header {
  const places = new Map(columns.map((name, place) => [name.trim().toLowerCase(), place]));
  const missing = REQUIRED.filter((name) => !places.has(name.toLowerCase()));
  if (missing.length > 0)
    throw new SourceError(`the header lacks ${missing.join(', ')}, which CUCM's CDRs have`);
  const accountField = options.accountField ?? ACCOUNT_FIELD;
  if (options.accountField !== undefined && !places.has(accountField.toLowerCase())) {
    throw new SourceError(
      `the header has no column "${accountField}" to name the account; it has ${listed(columns)}`,
    );
  }
  const figures = columns.flatMap((name, place) => (FIGURE.test(name.trim()) ? [place] : []));
  return {
    columns,
    accountField,
    figures: new Set(figures),
    value(fields, name) {
      const place = places.get(name.toLowerCase());
      return place === undefined ? '' : fields[place]!;
    },
  };
}

function toRecord(written: string[], header: Header, clock: CallClock): Parsed {
  const fields = givenValues(written, header.figures);
  const value = (name: string): string => header.value(fields, name);
  const type = value('cdrRecordType');
  if (type !== '1') {
    return rejected('bad_value', 'cdrRecordType', `cdrRecordType is ${quoted(type)}; 1 is a call's record`);
  }
  const duration = value('duration');
  const billedDurationS = duration === '' ? null : readSeconds(duration);
  if (Number.isNaN(billedDurationS)) return badSeconds('duration', duration);
  const stamps = {
    start: value('dateTimeOrigination'),
    connect: value('dateTimeConnect'),
    disconnect: value('dateTimeDisconnect'),
  };
  const durationS = wholeDuration(stamps.start, stamps.disconnect, billedDurationS ?? 0);
  const times = clock.resolve({ ...stamps, durationS });
  if (times.kind === 'rejected') {
    const names = {
      start: 'dateTimeOrigination',
      connect: 'dateTimeConnect',
      disconnect: 'dateTimeDisconnect',
    };
    return namedTime(times.rejection, names);
  }
  const origCause = value('origCause_value');
  const destCause = value('destCause_value');
  const cause = isGiven(origCause) ? origCause : isGiven(destCause) ? destCause : null;
  const callId = [
    value('globalCallId_ClusterID'),
    value('globalCallID_callManagerId'),
    value('globalCallID_callId'),
  ]
    .filter((part) => part !== '')
    .join('/');
  const causeResult = unansweredResult(origCause, destCause);
  const record: SourceRecord = {
    ...NOT_TOLD,
    accountCode: header.value(written, header.accountField),
    callId,
    identity:
      value('pkid').toLowerCase() || IDENTITY.map((name) => header.value(written, name)).join('\u001f'),
    alsoSays: rowText(fields),
    wholeRow: callId === '' ? normalRowText(rowText(fields)) : '',
    cli: value('callingPartyNumber'),
    cld: value('originalCalledPartyNumber') || value('finalCalledPartyNumber'),
    direction: null,
    startTime: times.startTime,
    connectTime: times.connectTime,
    disconnectTime: times.disconnectTime,
    durationS,
    billedDurationS,
    // An unknown cause counts as an unknown word.
    resultWord: causeResult === null ? cause : null,
    result: null,
    disconnectCause: cause,
    causeResult,
    tellsAnswers: true,
    remoteIp: readAddress(value('origIpv4v6Addr')) ?? readAddress(value('origIpAddr')),
    flags: times.flags,
    attributes: otherColumns(fields, header.columns),
  };
  return { kind: 'record', record };
}

/** CUCM's `duration` begins with the answer; the whole call begins with the handset off the hook. */
function wholeDuration(origination: string, disconnect: string, fromAnswerS: number): number {
  const whole = Number(disconnect) - Number(origination);
  return Number(origination) > 0 && whole >= fromAnswerS ? whole : fromAnswerS;
}

/**
 * The side that cleared the call gives the cause; the other side gives 0. A normal clearing before the answer means that
 * the caller gave up. Null: an unknown cause.
 */
function unansweredResult(origCause: string, destCause: string): CallResult | null {
  if (SPLIT_CAUSES.has(origCause) || SPLIT_CAUSES.has(destCause)) return 'no_answer';
  if (origCause === '16') return 'cancelled';
  const cause = isGiven(origCause) ? origCause : destCause || '0';
  if (CISCO_ERRORS.has(cause)) return 'failed';
  if (!/^\d{1,10}$/.test(cause)) return null;
  const code = Number(cause);
  if (code < Q850_CODES) return resultOfQ850(code);
  return code >= SIP_CODES ? resultOfQ850(code % Q850_CODES) : null;
}

/** An address as text, or as in IPv4 columns: the signed 32-bit number of its bytes in reverse order. 0 is none. */
function readAddress(text: string): string | null {
  if (isIP(text)) return text;
  if (!/^-?\d{1,10}$/.test(text) || Number(text) === 0) return null;
  const bits = Number(text) >>> 0;
  return [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24].join('.');
}

function isGiven(cause: string): boolean {
  return cause !== '' && cause !== '0';
}

function otherColumns(fields: readonly string[], columns: readonly string[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const [place, name] of columns.entries()) {
    const value = fields[place]!;
    if (value !== '' && !IN_RECORD.has(name.toLowerCase())) attributes[name] = value;
  }
  return attributes;
}
