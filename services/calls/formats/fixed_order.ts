/** Rows of a maker whose columns can be reordered. Only the maker's own order is read. */
import { givenValues } from '../absent.ts';
import type { Parsed } from '../cdr.ts';
import type { RowFormat } from './csv_reader.ts';
import { rejected } from './field_values.ts';
import { SourceError } from './source_error.ts';
import type { SourceOptions } from './source_reader.ts';

/** A maker's order of columns. */
export interface FixedOrder {
  /** The maker's name, for people. */
  readonly title: string;
  /** All columns, by the maker's names. */
  readonly columns: readonly string[];
  /** The least number of columns. Later versions append others. */
  readonly fewest: number;
  /** Places of the columns that hold numbers, instants and ids. */
  readonly figures: ReadonlySet<number>;
  /** Whether a row is in the order, by its values. Values that mean "none" are ''. */
  isRow(fields: readonly string[]): boolean;
  /** How the maker's rows look in any order. */
  readonly looks: RegExp;
  /** The fields that a mapping needs for another order of columns, by the maker's names. */
  readonly map: readonly string[];
}

/** Columns that later versions append. */
const MOST_MORE = 10;

const isHeader = (order: FixedOrder, fields: readonly string[]): boolean =>
  order.columns.slice(0, order.fewest).every((name, at) => plain(fields[at]) === plain(name));

/** A maker's versions write the name of a column with different blanks, hyphens and underscores. */
const plain = (name = ''): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Whether a line has the maker's names, in whatever order. */
export function namesColumns(order: FixedOrder, fields: readonly string[]): boolean {
  const names = new Set(order.columns.map(plain));
  const found = fields.filter((field) => names.has(plain(field))).length;
  return found >= 4 && found * 2 > fields.length;
}

/** Whether a row is in the maker's order. */
export const isInOrder = (order: FixedOrder, fields: readonly string[]): boolean =>
  order.isRow(givenValues(fields, order.figures));

/** What to do with a file that has the columns in another order. */
export function otherOrder({ title, map }: FixedOrder): string {
  const pairs = map.map((pair) => `--map "${pair}"`).join(' ');
  return `${title} is read in its maker's order only, and this file has another order; put a header above the rows and import with ${pairs}`;
}

/**
 * @param toRecord makes the record of a valid row
 * @throws SourceError when the maker has no such account field
 */
export function fixedOrderRows(
  order: FixedOrder,
  options: SourceOptions,
  toRecord: (field: (name: string) => string, fields: readonly string[], account: string) => Parsed,
): RowFormat {
  const at = new Map(order.columns.map((name, place) => [plain(name), place]));
  const placeOf = (name: string): number | undefined => at.get(plain(name));
  const accountPlace = placeOf(options.accountField ?? 'Account');
  if (options.accountField !== undefined && accountPlace === undefined) {
    throw new SourceError(
      `${order.title} has no field "${options.accountField}" to name the account; it has ${order.columns.join(', ')}`,
    );
  }
  let hasBegun = options.columns !== undefined;
  return {
    columns: null,
    separator: ',',
    rescue: ['backslash', 'bare', 'sparse'],
    fits: (count) => count >= order.fewest && count <= order.columns.length + MOST_MORE,
    parse(written) {
      if (!hasBegun && isHeader(order, written)) return { kind: 'skipped' };
      const fields = givenValues(written, order.figures);
      if (!order.isRow(fields)) {
        // If no row of a file is in order, no row is imported.
        if (!hasBegun && namesColumns(order, written)) throw new SourceError(otherOrder(order));
        return rejected('bad_value', order.columns[0]!, otherOrder(order));
      }
      hasBegun = true;
      const field = (name: string): string => fields[placeOf(name)!] ?? '';
      return toRecord(field, fields, accountPlace === undefined ? '' : (written[accountPlace] ?? ''));
    },
  };
}
