/** A page of rows as JSON bytes, written straight from PostgreSQL's bytes: see json_row.ts for what becomes of each type. */

import { type ByteOutput, createOutput, freeMemory, reserve, writeText } from '../byte_output.ts';
import { type JsonRowPlan, planJsonRow, writeJsonRow } from './json_row.ts';
import { createLastRow, type KeptValues } from './last_row.ts';
import type { Column } from './row_columns.ts';
import type { DecodedQuery, RowQuery, RowSink } from './row_stream.ts';

/** A page is held in memory whole. A larger result wants a LIMIT. */
export const PAGE_LIMIT_BYTES = 64 * 1024 * 1024;

/** Memory to begin a page with: as much as the last one of its kind took, within these. */
const FIRST_CAPACITY_BYTES = { least: 4 * 1024, most: 256 * 1024 } as const;

export interface JsonPageOptions {
  /** How many rows are written. Ask the database for one more: it is not written, but makes `more` true. */
  readonly limit?: number;
  /** Columns whose values in the last written row are wanted: what the next page starts behind. */
  readonly keep?: readonly string[];
  /** Columns of type numeric that are to be numbers rather than strings. The same array each time: plans are kept by it. */
  readonly numbers?: readonly string[];
  /** Written before the array: the beginning of an envelope. */
  readonly before?: string;
}

export interface JsonPage {
  /** Rows written. */
  readonly count: number;
  /** There was at least one row beyond the limit. */
  readonly more: boolean;
  /** The kept columns of the last written row; undefined where there is none. */
  readonly last: KeptValues | undefined;
  readonly bytes: Buffer;
  /** Writes more behind it: the rest of an envelope. */
  append(text: string): void;
  /**
   * Gives the memory back; `bytes` is then empty. To be called when they are sent (a response's 'finish'). Without it
   * the page waits for garbage collection like anything else, at a third more of the processor's time.
   */
  free(): void;
}

/**
 * The rows of `query` as the bytes of a JSON array of objects, behind `before`.
 * @throws when it is run: RangeError for an int8 beyond 2^53 or a page over PAGE_LIMIT_BYTES; Error for two columns of one
 * name, and for a kept column that the query does not have
 */
export function jsonQuery(query: RowQuery, options: JsonPageOptions = {}): DecodedQuery<JsonPage> {
  const { limit = Number.POSITIVE_INFINITY, keep = [], numbers = NO_NUMBERS, before = '' } = options;
  let plan: PagePlan | undefined;
  let out: ByteOutput | undefined;
  let count = 0;
  let more = false;
  const lastRow = createLastRow(keep);

  const sink: RowSink = {
    columns(columns) {
      plan = pagePlan(columns, numbers);
      lastRow.columns(columns);
      out = beginArray(plan.capacity, before);
      count = 0;
      more = false;
    },
    row(view, at, end) {
      if (count === limit) {
        more = true;
        return;
      }
      if (count > 0) out!.view.setUint8(out!.at++, COMMA); // in the byte that a row leaves for what follows it
      writeJsonRow(plan!.row, out!, view, at, end);
      if (out!.at > PAGE_LIMIT_BYTES) throw new RangeError(`a page of more than ${PAGE_LIMIT_BYTES} bytes`);
      count++;
      lastRow.row(view, at);
    },
    pieceEnd: lastRow.pieceEnd,
  };

  function answer(): JsonPage {
    const page = out ?? beginArray(FIRST_CAPACITY_BYTES.least, before);
    page.view.setUint8(page.at++, CLOSE_ARRAY);
    if (plan) plan.capacity = capacityAfter(page.at);
    return {
      ...{ count, more, last: lastRow.values() },
      get bytes() {
        return page.bytes.subarray(0, page.at);
      },
      append: (text) => writeText(page, text),
      free: () => {
        freeMemory(page.bytes);
        page.bytes = NO_BYTES;
        page.at = 0;
      },
    };
  }

  return { query, sink, answer };
}

const NO_NUMBERS: readonly string[] = [];
const NO_BYTES = Buffer.alloc(0);
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const COMMA = 0x2c;

interface PagePlan {
  readonly row: JsonRowPlan;
  /** Bytes to begin the next page with. */
  capacity: number;
}

/** By the columns that are numbers, then by all columns: these live as long as readColumns remembers them. */
const plans = new WeakMap<readonly string[], WeakMap<readonly Column[], PagePlan>>();

function pagePlan(columns: readonly Column[], numbers: readonly string[]): PagePlan {
  let byColumns = plans.get(numbers);
  if (!byColumns) {
    byColumns = new WeakMap();
    plans.set(numbers, byColumns);
  }
  let plan = byColumns.get(columns);
  if (!plan) {
    plan = { row: planJsonRow(columns, numbers), capacity: FIRST_CAPACITY_BYTES.least };
    byColumns.set(columns, plan);
  }
  return plan;
}

/** A quarter more than last time, and what a row reserves at most; memory that is not touched costs little. */
function capacityAfter(bytes: number): number {
  const wanted = Math.ceil(1.25 * bytes) + FIRST_CAPACITY_BYTES.least;
  return Math.min(wanted, FIRST_CAPACITY_BYTES.most);
}

/** `before` and the bracket, with room for the closing one. */
function beginArray(capacity: number, before: string): ByteOutput {
  const out = createOutput(capacity);
  writeText(out, before);
  reserve(out, 2);
  out.view.setUint8(out.at++, OPEN_ARRAY);
  return out;
}
