/**
 * A batch of rows on its way into the tables, cut down to what storing needs.
 *
 * A row as its format reads it is some fifty objects of 3.5 kB together. Kept until their batch is stored they outlive
 * what V8's collector takes cheaply, and moving them from heap to heap cost an import more than all else it did. So
 * rows are settled chunk by chunk as they are read; what stays of each is its key, its place in some columns
 * (call_columns.ts), and outside the heap its own bytes and its COPY text. A batch that was stored is emptied and filled
 * again, so that its memory is taken once.
 */
import type { RawRow, Rejection, SourceRecord } from '../cdr.ts';
import { ownBytes } from '../formats/csv_records.ts';
import type { Replacement } from '../formats/source_end.ts';
import type { Taken } from '../formats/source_reader.ts';
import { type Month, monthOf } from '../months.ts';
import { storable } from '../store/storable.ts';
import type { AccountsOfRows } from './account_book.ts';
import { type CallColumns, type CallNumber, callColumns, callIdOf, keyOf, setCall } from './call_columns.ts';
import { copyLine } from './copy_text.ts';
import type { Origin } from './origin.ts';
import type { AsideRow, RepeatedRow, RowOutcome, RowsOf } from './rows.ts';
import { type Cdr, keyOfText, type Settled, settle, withoutAccount } from './settle.ts';

export interface Batch {
  /** How many rows it holds. */
  readonly rows: number;
  /** How many of them are calls that are ready to be stored; `columns` says what they are. */
  readonly callCount: number;
  readonly columns: CallColumns;
  readonly aside: readonly AsideRow[];
  readonly repeated: readonly RepeatedRow[];
  /** Call ids that several of its calls bear. */
  readonly sharedIds: ReadonlySet<string>;
  /** Calls whose ids are also in batches that are being stored meanwhile; they are stored once those are. */
  readonly waiting: ReadonlySet<CallNumber>;
  /** Ends when those batches are stored, or have failed. */
  othersStored(): Promise<unknown>;
  /** What the rows of earlier imports are that its own take the place of. */
  readonly replacements: readonly Replacement[];
  /** The months in which its calls start. */
  readonly months: ReadonlySet<Month>;
  /** Of each call its row's own bytes, and behind them its COPY text without its i_cdr. */
  readonly bytes: Buffer;
  /** What became of each row so far, by place. */
  readonly outcomes: (RowOutcome | undefined)[];
}

/** A batch that is being filled. */
export interface OpenBatch extends Batch {
  /**
   * @param rows no more than there is room for; nothing of them is kept
   * @param accounts those of the rows, by what the rows call them
   */
  add(rows: readonly Taken[], accounts: AccountsOfRows, now: number, of: RowsOf): void;
  /** Rows that are added from now on take the place of these; where one is whole, it is the next one. */
  replace(replacement: Omit<Replacement, 'place'>): void;
  /** How many bytes its rows had in their source. */
  readonly rowBytes: number;
  /** The call ids of its calls. */
  readonly callIds: CallIds;
  /** Forgets all its rows. */
  empty(): void;
}

/** What a usual row takes of the batch's bytes. */
const BYTES_A_ROW = 1_024;
/** Rows that there is room for at first: most files are small, and what a batch once took it keeps for the next rows. */
const FIRST_ROWS = 1_000;
/** A character of a JavaScript string makes at most this many bytes of UTF-8. */
const MAX_BYTES_A_CHARACTER = 3;

export type CallIds = Pick<ReadonlySet<string>, 'has' | 'size'>;

/** A batch that is being stored. */
export interface BatchInFlight {
  readonly callIds: CallIds;
  /** Ends when it is stored or has failed. */
  readonly stored: Promise<void>;
}

/**
 * @param size how many rows it holds at most
 * @param inFlight the batches that are being stored meanwhile
 */
export function openBatch(origin: Origin, size: number, inFlight: Iterable<BatchInFlight> = []): OpenBatch {
  const columns = callColumns(size);
  const aside: AsideRow[] = [];
  const repeated: RepeatedRow[] = [];
  const replacements: Replacement[] = [];
  const outcomes: (RowOutcome | undefined)[] = [];
  /** By call id, the key of the first of its calls; of the others the keys stand by themselves. */
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

  function settleRow(record: SourceRecord, accounts: AccountsOfRows, now: number): Settled {
    const account = accounts.get(record.accountCode);
    if (account) return settle(record, account, now, origin.credits);
    return {
      kind: 'rejected',
      rejection: withoutAccount(record.accountCode, accounts.alike(record.accountCode)),
    };
  }

  /** Of tellings that take each other's place the last one counts, also where it says again what an earlier one said. */
  const isLater = (callId: string) => origin.rules.replace && sharedIds.has(callId);

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
    columns.keyBefore[call] = origin.knownBefore ? keyOfText(cdr.record.identity) : '';
    columns.otherIds[call] = otherIdsOf(cdr, columns.keyBefore[call]!, origin);
    setCall(columns, call, cdr);
    writeBytes(call, row.bytes, copyLine(cdr, row.line, origin));
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
    aside,
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
        const settled = parsed.kind === 'rejected' ? parsed : settleRow(parsed.record, accounts, now);
        if (settled.kind === 'cdr') addCall(settled.cdr, row, of, place);
        else {
          const rejection = accountMayGoOn ? withCutCode(settled.rejection) : settled.rejection;
          aside.push({ row: ownRow(row), of, place, rejection });
        }
      }
    },
    replace(replacement) {
      replacements.push({ ...replacement, place: rows });
    },
    empty() {
      end = rows = rowBytes = callCount = 0;
      aside.length = repeated.length = replacements.length = outcomes.length = 0;
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
 * Call ids under which other readings of the row may have stored it: its own key, where no column was taken for the call
 * id then; what other columns hold, where another mapping took those.
 */
function otherIdsOf(cdr: Cdr, keyBefore: string, origin: Origin): readonly string[] {
  const { record, callId } = cdr;
  if (record.wholeRow === '' && record.callId !== '') return NONE;
  const ids = [keyOfText(record.wholeRow), keyBefore];
  if (origin.callIdColumns.size > 0) {
    for (const [name, value] of Object.entries(record.attributes)) {
      if (origin.callIdColumns.has(name.toLowerCase())) ids.push(storable(value));
    }
  }
  return ids.filter((id) => id !== '' && id !== callId);
}

/** By a code that may be cut off no account is made. */
function withCutCode(rejection: Rejection): Rejection {
  if (rejection.code !== 'unknown_account' && rejection.code !== 'no_account') return rejection;
  const why = 'the row has no line end, so its account may be cut off: none is made by it';
  return { ...rejection, reason: `${rejection.reason}; ${why}` };
}

/** A call's row, as its source has it. */
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

/** Months of start times; the calendar is asked only when the month may have changed. */
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
