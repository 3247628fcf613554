/** How a request asks for its answer: as JSON or as CSV, and what of the CSV its spreadsheet needs otherwise. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CsvParameters } from '../../contract.ts';
import type { CsvForm } from '../../csv/csv_form.ts';
import { badParameter } from '../../errors.ts';
import { FRESHNESS_HEADERS } from '../../freshness.ts';
import type { ZoneClock } from '../../time/zone_clock.ts';
import type { Range } from '../../usage/usage_cover.ts';

const FOR_CSV = ['separator', 'decimal', 'bom', 'columns'] as const;

/** Whether CSV is asked for: by `format`, or else named in Accept and not put behind JSON. */
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

/** @throws ApiError 400 for what is of CSV alone */
export function refuseCsvParameters(query: CsvParameters): void {
  for (const name of FOR_CSV) if (query[name] !== undefined) throw badParameter(name, 'is for text/csv');
}

/**
 * @param known all columns that there are; `standard` those that are given unless told, in their order
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

/** The days of a range as its reader's clocks show them, for the name of a file. */
export const datesOf = ({ from, to }: Range, zone: ZoneClock): string[] =>
  [from, to].flatMap((end) => (end === null ? [] : [zone.dateAt(end)]));

/** The head of a file's answer. @param name of the file, without its ending */
export function fileHead(reply: FastifyReply, name: string): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', `attachment; filename="${name}.csv"`);
}

/** Tells it, as it was when the file was begun. */
export function tellFreshness(reply: FastifyReply, completeTo: string | null, lagS: number | null): void {
  const [toHeader, lagHeader] = FRESHNESS_HEADERS;
  if (completeTo !== null) reply.header(toHeader, completeTo);
  if (lagS !== null) reply.header(lagHeader, lagS);
}
