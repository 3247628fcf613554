/** The requested form of an answer: JSON or CSV, and the variant of CSV for the caller's spreadsheet. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CsvParameters } from '../../contract.ts';
import type { CsvForm } from '../../csv/csv_form.ts';
import { badParameter } from '../../errors.ts';
import { FRESHNESS_HEADERS } from '../../freshness.ts';
import type { ZoneClock } from '../../time/zone_clock.ts';
import type { Range } from '../../usage/usage_cover.ts';

const FOR_CSV = ['separator', 'decimal', 'bom', 'columns'] as const;

/** Whether the caller requests CSV: by `format`, or in Accept and not after JSON. */
export function wantsCsv(request: FastifyRequest): boolean {
  const { format } = request.query as CsvParameters;
  if (format !== undefined) return format === 'csv';
  const wishes = (request.headers.accept ?? '').split(',').map((wish) => {
    const [type = '', ...parameters] = wish.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { type, q: q === undefined ? 1 : Number(q.slice(2)) };
  });
  const csv = wishes.findIndex((wish) => wish.type === 'text/csv' && wish.q > 0);
  const json = wishes.findIndex((wish) => wish.type === 'application/json');
  if (csv === -1) return false;
  if (json === -1) return true;
  return wishes[csv]!.q > wishes[json]!.q || (wishes[csv]!.q === wishes[json]!.q && csv < json);
}

/** @throws ApiError 400 for a parameter of CSV with JSON */
export function refuseCsvParameters(query: CsvParameters): void {
  for (const name of FOR_CSV) if (query[name] !== undefined) throw badParameter(name, 'is for text/csv');
}

/**
 * @param known all columns; `standard` the default ones, in their order
 * @throws ApiError 400
 */
export function readCsvForm<Column extends string>(
  query: CsvParameters,
  known: readonly Column[],
  standard: readonly Column[] = known,
): CsvForm<Column> {
  const separator = query.separator === 'tab' ? '\t' : (query.separator ?? ',');
  const decimal = query.decimal ?? '.';
  if (decimal === separator)
    throw badParameter('decimal', '`,` needs another separator: `separator=;` (%3B) or `separator=tab`');
  const columns = query.columns === undefined ? standard : readColumns(query.columns, known);
  return { separator, decimal, mark: query.bom ?? false, columns };
}

function readColumns<Column extends string>(text: string, known: readonly Column[]): Column[] {
  const names = text.split(',').map((name) => name.trim());
  const columns = names.map((name) => {
    const column = known.find((one) => one === name);
    if (column === undefined)
      throw badParameter('columns', `must name, with commas between: ${known.join(', ')}`);
    return column;
  });
  if (new Set(columns).size < columns.length) throw badParameter('columns', 'names a column twice');
  return columns;
}

/** The days of a range by its reader's clocks, for the name of a file. */
export const datesOf = ({ from, to }: Range, zone: ZoneClock): string[] =>
  [from, to].flatMap((end) => (end === null ? [] : [zone.dateAt(end)]));

/** The head of a file's answer. @param name of the file, without its ending */
export function fileHead(reply: FastifyReply, name: string): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', `attachment; filename="${name}.csv"`);
}

/** Its headers for the state of the data when the file was begun. */
export function tellFreshness(reply: FastifyReply, completeTo: string | null, lagS: number | null): void {
  const [toHeader, lagHeader] = FRESHNESS_HEADERS;
  if (completeTo !== null) reply.header(toHeader, completeTo);
  if (lagS !== null) reply.header(lagHeader, lagS);
}
