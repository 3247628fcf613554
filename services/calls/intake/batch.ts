/**
 * A batch of rows on its way into the tables, reduced to the data that storing needs.
 *
 * A parsed row is some fifty objects of 3.5 kB together. Kept until their batch is stored, these objects outlive the
 * cheap part of V8's collector, and moving them from heap to heap cost an import more than all its other work. So rows
 * are normalized chunk by chunk as they are read. The batch keeps of each row its key, its place in some columns
 * (call_columns.ts), and outside the heap its own bytes and its COPY text. A stored batch is emptied and filled again,
 * so that its memory is allocated once.
 */
import type { RawRow, Rejection, SourceRecord } from '../cdr.ts';
import { ownBytes } from '../formats/csv_records.ts';
import type { Replacement } from '../formats/source_end.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { type Month, monthOf } from '../months.ts';
import { storable } from '../store/storable.ts';
import type { AccountsOfRows } from './account_cache.ts';
import { type CallColumns, type CallNumber, callColumns, callIdOf, keyOf, setCall } from './call_columns.ts';
import { copyLine } from './copy_text.ts';
import type { ImportSource } from './import_source.ts';
import { type Cdr, keyOfText, type NormalizedRow, normalize, withoutAccount } from './normalize.ts';
import type { RepeatedRow, RowOutcome, RowsOf, RowToReject } from './rows.ts';

export interface Batch {
  /** The number of its rows. */
  readonly rows: number;
  /** The number of its calls that are ready to be stored. `columns` describes them. */
  readonly callCount: number;
  readonly columns: CallColumns;
  readonly rejected: readonly RowToReject[];
  readonly repeated: readonly RepeatedRow[];
  /** Call ids that several of its calls have. */
  readonly sharedIds: ReadonlySet<string>;
  /** Calls whose ids are also in batches that are being stored now. They are stored after those batches. */
  readonly waiting: ReadonlySet<CallNumber>;
  /** Resolves when those batches are stored, or have failed. */
  othersStored(): Promise<unknown>;
  /** The outcomes of earlier imports that its rows replace. */
  readonly replacements: readonly Replacement[];
  /** The months in which its calls start. */
  readonly months: ReadonlySet<Month>;
  /** For each call its row's own bytes, and behind them its COPY text without its i_cdr. */
  readonly bytes: Buffer;
  /** The outcome of each row so far, by place. */
  readonly outcomes: (RowOutcome | undefined)[];
}

/** A batch that is being filled. */
export interface OpenBatch extends Batch {
  /**
   * @param rows no more than fit in; none of their objects is kept
   * @param accounts of the rows, by the rows' names for them
   */
  add(rows: readonly ParsedRow[], accounts: AccountsOfRows, now: number, of: RowsOf): void;
  /** Rows from now on replace these. If one of these is whole, the next row is the same row. */
  replace(replacement: Omit<Replacement, 'place'>): void;
  /** The number of bytes of its rows in their source. */
  readonly rowBytes: number;
  /** The call ids of its calls. */
  readonly callIds: CallIds;
  /** Forgets all its rows. */
  empty(): void;
}

/** A usual row's share of the batch's bytes. */
const BYTES_A_ROW = 1_024;
/** The first capacity in rows: most files are small, and a batch keeps its memory for the next rows. */
const FIRST_ROWS = 1_000;
/** A character of a JavaScript string makes at most this many bytes of UTF-8. */
const MAX_BYTES_A_CHARACTER = 3;

export type CallIds = Pick<ReadonlySet<string>, 'has' | 'size'>;

/** A batch that is being stored. */
export interface BatchInFlight {
  readonly callIds: CallIds;
  /** Resolves when it is stored or has failed. */
  readonly stored: Promise<void>;
}

/**
 * @param size the largest number of rows
 * @param inFlight the batches that are being stored now
 */
export function openBatch(
  importSource: ImportSource,
  size: number,
  inFlight: Iterable<BatchInFlight> = [],
): OpenBatch {
  const columns = callColumns(size);
  const rejected: RowToReject[] = [];
  const repeated: RepeatedRow[] = [];
  const replacements: Replacement[] = [];
  const outcomes: (RowOutcome | undefined)[] = [];
  /** By call id, the key of the first of its calls. The keys of further calls stand alone. */
  const callIds = new Map<string, string>();
  const otherKeys = new Set<string>();
  const sharedIds = new Set<string>();
  const waiting = new Set<CallNumber>();
  let waitsFor = new Set<Promise<void>>();
  const months = monthCollector();
  let bytes = Buffer.allocUnsafeSlow(Math.min(size, FIRST_ROWS) * BYTES_A_ROW);
  let end = 0;
  let rows = 0;
  let rowBytes = 0;
  let callCount = 0;

  function makeRoom(more: number): void {
    if (end + more <= bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((end + more) * 2);
    bytes.copy(larger, 0, 0, end);
    bytes = larger;
  }

  function waitForOthers(callId: string, call: CallNumber): void {
    for (const others of inFlight) {
      if (!others.callIds.has(callId)) continue;
      waiting.add(call);
      waitsFor.add(others.stored);
    }
  }

  function normalizeRow(record: SourceRecord, accounts: AccountsOfRows, now: number): NormalizedRow {
    const account = accounts.get(record.accountCode);
    if (account) return normalize(record, account, now, importSource.credits);
    return {
      kind: 'rejected',
      rejection: withoutAccount(record.accountCode, accounts.alike(record.accountCode)),
    };
  }

  /** Of records that replace each other the last one counts, even if it repeats an earlier one. */
  const isLater = (callId: string) => importSource.rules.replace && sharedIds.has(callId);

  function addCall(cdr: Cdr, row: RawRow, of: RowsOf, place: number): void {
    const key = keyOf(cdr);
    const callId = callIdOf(key);
    const first = callIds.get(callId);
    if (first === undefined) callIds.set(callId, key);
    else if (!isLater(callId) && (first === key || otherKeys.has(key))) {
      repeated.push({ row: ownRow(row), of, place, key });
      return;
    } else {
      sharedIds.add(callId);
      otherKeys.add(key);
    }
    months.add(cdr.record.startTime);
    const call = callCount++;
    columns.place[call] = place;
    columns.line[call] = row.line;
    columns.offset[call] = row.offset;
    columns.ended[call] = row.ended ? 1 : 0;
    columns.of[call] = of;
    columns.key[call] = key;
    waitForOthers(callId, call);
    columns.keyBefore[call] = importSource.knownBefore ? keyOfText(cdr.record.identity) : '';
    columns.otherIds[call] = otherIdsOf(cdr, columns.keyBefore[call]!, importSource);
    setCall(columns, call, cdr);
    writeBytes(call, row.bytes, copyLine(cdr, row.line, importSource));
  }

  function writeBytes(call: CallNumber, row: Buffer, text: string): void {
    makeRoom(row.length + text.length * MAX_BYTES_A_CHARACTER);
    columns.rowFrom[call] = end;
    end += row.copy(bytes, end);
    columns.textFrom[call] = end;
    end += bytes.write(text, end);
    columns.textTo[call] = end;
  }

  return {
    get rows() {
      return rows;
    },
    get callCount() {
      return callCount;
    },
    columns,
    rejected,
    repeated,
    replacements,
    months: months.found,
    get bytes() {
      return bytes;
    },
    outcomes,
    get rowBytes() {
      return rowBytes;
    },
    callIds,
    sharedIds,
    waiting,
    othersStored: () => Promise.all(waitsFor),
    add(taken, accounts, now, of) {
      for (const given of taken) {
        const country =
          given.parsed.kind === 'record' ? accounts.get(given.parsed.record.accountCode)?.country : undefined;
        const { parsed, row, accountMayGoOn } = accounts.erased.cleaned(given, country);
        const place = rows++;
        rowBytes += row.bytes.length;
        const normalized = parsed.kind === 'rejected' ? parsed : normalizeRow(parsed.record, accounts, now);
        if (normalized.kind === 'cdr') addCall(normalized.cdr, row, of, place);
        else {
          const rejection = accountMayGoOn ? withCutCode(normalized.rejection) : normalized.rejection;
          rejected.push({ row: ownRow(row), of, place, rejection });
        }
      }
    },
    replace(replacement) {
      replacements.push({ ...replacement, place: rows });
    },
    empty() {
      end = rows = rowBytes = callCount = 0;
      rejected.length = repeated.length = replacements.length = outcomes.length = 0;
      otherKeys.clear();
      callIds.clear();
      sharedIds.clear();
      waiting.clear();
      waitsFor = new Set();
      months.clear();
    },
  };
}

const NONE: readonly string[] = [];

/**
 * Call ids under which other readings of the row may have stored it: its own key, if no column was read as the call id
 * then; and values of other columns, if another mapping read those.
 */
function otherIdsOf(cdr: Cdr, keyBefore: string, importSource: ImportSource): readonly string[] {
  const { record, callId } = cdr;
  if (record.wholeRow === '' && record.callId !== '') return NONE;
  const ids = [keyOfText(record.wholeRow), keyBefore];
  if (importSource.callIdColumns.size > 0) {
    for (const [name, value] of Object.entries(record.attributes)) {
      if (importSource.callIdColumns.has(name.toLowerCase())) ids.push(storable(value));
    }
  }
  return ids.filter((id) => id !== '' && id !== callId);
}

/** A code that may be cut creates no account. */
function withCutCode(rejection: Rejection): Rejection {
  if (rejection.code !== 'unknown_account' && rejection.code !== 'no_account') return rejection;
  const why = 'the row has no line end, so its account may be cut off: none is made by it';
  return { ...rejection, reason: `${rejection.reason}; ${why}` };
}

/** A call's row, as in its source. */
export function rowOf(batch: Batch, call: CallNumber): RawRow {
  const { line, offset, ended, rowFrom, textFrom } = batch.columns;
  return {
    line: line[call]!,
    bytes: ownBytes(batch.bytes.subarray(rowFrom[call], textFrom[call])),
    offset: offset[call]!,
    ended: ended[call] === 1,
  };
}

/** A row that keeps no chunk in memory. */
const ownRow = (row: RawRow): RawRow => ({ ...row, bytes: ownBytes(row.bytes) });

/** Months of start times. The calendar is used only when the month may have changed. */
function monthCollector(): { found: ReadonlySet<Month>; add(time: number): void; clear(): void } {
  const found = new Set<Month>();
  let day = Number.NaN;
  return {
    found,
    add(time) {
      const itsDay = Math.floor(time / DAY_MS);
      if (itsDay === day) return;
      day = itsDay;
      found.add(monthOf(time));
    },
    clear() {
      found.clear();
      day = Number.NaN;
    },
  };
}

const DAY_MS = 86_400_000;
