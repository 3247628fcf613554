/** The form of CSV, as spreadsheets need it. */

/** @template Column the names that may stand in the first line */
export interface CsvForm<Column extends string = string> {
  readonly separator: ',' | ';' | '\t';
  readonly decimal: '.' | ',';
  /** Whether a byte-order mark comes first: by it Excel knows UTF-8. */
  readonly mark: boolean;
  /** In the order in which they are wanted. */
  readonly columns: readonly Column[];
}

/** What the API gives unless told otherwise. */
export const plainForm = <Column extends string>(columns: readonly Column[]): CsvForm<Column> => ({
  separator: ',',
  decimal: '.',
  mark: false,
  columns,
});

const BYTE_ORDER_MARK = '\ufeff';
/** The first line. */
export const csvHeader = ({ mark, columns, separator }: CsvForm): string =>
  `${mark ? BYTE_ORDER_MARK : ''}${columns.join(separator)}\r\n`;

/** A record of cells that are safe already. */
export const csvRecord = (cells: readonly string[], { separator }: CsvForm): string =>
  `${cells.join(separator)}\r\n`;

/** A decimal's text, by the sign that the client's spreadsheet reads. */
export const csvDecimal = (text: string, { decimal }: CsvForm): string =>
  decimal === '.' ? text : text.replace('.', decimal);
