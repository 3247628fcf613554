/**
 * A batch of rows on its way into the tables, cut down to what storing needs.
 *
 * A row as its format reads it is some fifty objects of 3.5 kB together. Kept until their batch is stored they outlive
 * what V8's collector takes cheaply, and moving them from heap to heap cost an import more than all else it did. So
 * rows are settled chunk by chunk as they are read; what stays of each is its key, its place in some columns
 * (call_columns.ts), and outside the heap its own bytes and its COPY text. A batch that was stored is emptied and filled
 * again, so that its memory is taken once.
 */
import type { RawRow, Rejection } from '../cdr.ts';
import { ownBytes } from '../formats/csv_records.ts';
import type { Taken } from '../formats/reader.ts';
import { type Month, monthOf } from '../partitions.ts';
import { type CallColumns, type CallNumber, callColumns, keyOf, setCall } from './call_columns.ts';
import { copyLine } from './copy_text.ts';
import type { Origin, RowOutcome } from './intake.ts';
import { type Account, type Cdr, settle } from './settle.ts';
import { storable } from './storable.ts';

/** A row that can't be taken in. */
export interface AsideRow {
  readonly row: RawRow;
  readonly place: number;
  readonly rejection: Rejection;
}

/** A row that says again what another row of the batch, or of one that is being stored meanwhile, says. */
export interface RepeatedRow {
  readonly row: RawRow;
  readonly place: number;
  readonly key: string;
}

export interface Batch {
  /** How many rows it holds. */
  readonly rows: number;
  /** How many of them are calls that are ready to be stored; `columns` says what they are. */
  readonly callCount: number;
  readonly columns: CallColumns;
  readonly aside: readonly AsideRow[];
  readonly repeated: readonly RepeatedRow[];
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
   * @param accounts those that the rows name, by code
   */
  add(rows: readonly Taken[], accounts: ReadonlyMap<string, Account>, now: number): void;
  /** How many bytes its rows had in their source. */
  readonly rowBytes: number;
  /** The keys of its calls. */
  readonly keys: ReadonlySet<string>;
  /** Forgets all its rows. */
  empty(): void;
}

/** What a usual row takes of the batch's bytes. What is not written to takes no memory, so this is generous. */
const BYTES_A_ROW = 1_024;
/** A character of a JavaScript string makes at most this many bytes of UTF-8. */
const MAX_BYTES_A_CHARACTER = 3;

/**
 * @param size how many rows it holds at most
 * @param inFlight keys of the batches that are being stored meanwhile: what they hold is not stored again
 */
export function openBatch(
  origin: Origin,
  size: number,
  inFlight: Iterable<ReadonlySet<string>> = [],
): OpenBatch {
  const columns = callColumns(size);
  const aside: AsideRow[] = [];
  const repeated: RepeatedRow[] = [];
  const outcomes: (RowOutcome | undefined)[] = [];
  const keys = new Set<string>();
  const months = monthCollector();
  let bytes = Buffer.allocUnsafeSlow(size * BYTES_A_ROW);
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

  function isInFlight(key: string): boolean {
    for (const others of inFlight) if (others.has(key)) return true;
    return false;
  }

  function addCall(cdr: Cdr, row: RawRow, place: number): void {
    const key = keyOf(cdr);
    if (keys.has(key) || isInFlight(key)) {
      repeated.push({ row: ownRow(row), place, key });
      return;
    }
    keys.add(key);
    months.add(cdr.record.startTime);
    const call = callCount++;
    columns.place[call] = place;
    columns.line[call] = row.line;
    columns.key[call] = key;
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
    months: months.found,
    get bytes() {
      return bytes;
    },
    outcomes,
    get rowBytes() {
      return rowBytes;
    },
    keys,
    add(taken, accounts, now) {
      for (const { parsed, row } of taken) {
        const place = rows++;
        rowBytes += row.bytes.length;
        const settled =
          parsed.kind === 'rejected'
            ? parsed
            : settle(parsed.record, accounts.get(storable(parsed.record.accountCode)), now);
        if (settled.kind === 'cdr') addCall(settled.cdr, row, place);
        else aside.push({ row: ownRow(row), place, rejection: settled.rejection });
      }
    },
    empty() {
      end = rows = rowBytes = callCount = 0;
      aside.length = repeated.length = outcomes.length = 0;
      keys.clear();
      months.clear();
    },
  };
}

/** The bytes of a call's row, as the source has them. */
export function rowOf(batch: Batch, call: CallNumber): RawRow {
  const { line, rowFrom, textFrom } = batch.columns;
  return { line: line[call]!, bytes: ownBytes(batch.bytes.subarray(rowFrom[call], textFrom[call])) };
}

/** A row that keeps no chunk in memory. */
const ownRow = (row: RawRow): RawRow => ({ line: row.line, bytes: ownBytes(row.bytes) });

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
