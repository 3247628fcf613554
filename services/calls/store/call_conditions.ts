/** Filters as conditions of statements over `calls.cdrs c`. */
import { type RawBuilder, sql } from 'kysely';
import type { CallFilter, FilterPart, SeenPeriod } from '../call_filter.ts';
import type { NumberSearch } from '../number_pattern.ts';
import { type Micros, utcText } from '../time/instants.ts';
import { plainArray } from './array_text.ts';
import { idIsShown, linkedIdIsShown } from './call_id_masking.ts';

/** The id that the legs of a call share, within account and source. The text must be that of the index of legs. */
export const linkageOf = (call: string) => `coalesce(${call}.linked_id, ${call}.call_id)`;
export const LINKAGE = linkageOf('c');

/**
 * The conditions of a filter, without the condition on several accounts.
 * @param whose a condition on the account, instead of the filter's own
 */
export function matches(filter: CallFilter, whose?: RawBuilder<unknown>): RawBuilder<unknown> {
  const terms: RawBuilder<unknown>[] = whose ? [whose] : [];
  if (!whose && filter.iAccount !== null) terms.push(sql`c.i_account = ${filter.iAccount}::bigint`);
  if (filter.from !== undefined) terms.push(sql`c.start_time >= ${filter.from}::timestamptz`);
  if (filter.to !== undefined) terms.push(sql`c.start_time < ${filter.to}::timestamptz`);
  if (filter.seen) {
    const periods = filter.seen.map(
      ({ from, to }) =>
        sql`(c.start_time >= ${startOf(from)}::timestamptz AND c.start_time < ${endOf(to)}::timestamptz)`,
    );
    terms.push(sql`(${sql.join(periods, sql` OR `)})`);
  }
  if (filter.cli) terms.push(numberMatches('cli', filter.cli));
  if (filter.cld) terms.push(numberMatches('cld', filter.cld));
  if (filter.number)
    terms.push(sql`(${numberMatches('cli', filter.number)} OR ${numberMatches('cld', filter.number)})`);
  if (filter.callId !== undefined) {
    terms.push(sql`c.call_id = ${filter.callId}`);
    if (filter.numbersHidden) terms.push(idIsShown(filter.callId));
  }
  if (filter.linkedId !== undefined) {
    terms.push(sql`${sql.raw(LINKAGE)} = ${filter.linkedId}`);
    if (filter.numbersHidden) terms.push(linkedIdIsShown(filter.linkedId));
  }
  if (filter.direction) terms.push(sql`c.direction = ${filter.direction}`);
  if (filter.minDurationS !== undefined)
    terms.push(sql`c.duration_s >= ${String(filter.minDurationS)}::numeric`);
  if (filter.iImport !== undefined) terms.push(sql`c.i_import = ${filter.iImport}::int`);
  const type = TYPE_TERMS[filter.type];
  if (type) terms.push(type);
  return sql.join(terms, sql` AND `);
}

const startOf = (from: Micros | null) => (from === null ? '-infinity' : utcText(from));
const endOf = (to: Micros | null) => (to === null ? 'infinity' : utcText(to));

/** The conditions of a filter for some of its accounts. */
export function matchesIn({ seen, ...part }: FilterPart, filter: CallFilter): RawBuilder<unknown> {
  const { iAccounts, ...searches } = part;
  const whose = sql`c.i_account = ANY(${plainArray(iAccounts)}::bigint[])`;
  if (!seen) return matches({ ...filter, ...searches }, whose);
  const isSeen = sql`EXISTS (SELECT FROM ${accountsSeen(iAccounts, seen)} WHERE ${isOfSeen(sql`c.start_time`)})`;
  return matches({ ...filter, ...searches }, sql`${whose} AND ${isSeen}`);
}

/** Accounts `a` with their periods. */
export const accountsSeen = (
  iAccounts: readonly number[],
  seen: readonly SeenPeriod[],
): RawBuilder<unknown> => sql`
  unnest(${plainArray(iAccounts)}::bigint[], ${plainArray(seen.map(({ from }) => startOf(from)))}::timestamptz[],
         ${plainArray(seen.map(({ to }) => endOf(to)))}::timestamptz[]) AS a (i_account, since, until)`;

/** The condition that a record `c` belongs to one of the accounts, within its period. @param at the time of the record */
export const isOfSeen = (at: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`c.i_account = a.i_account AND ${at} >= a.since AND ${at} < a.until`;

/** A literal, not a parameter: PostgreSQL uses the index of errors only for a query with the text of the index. */
const TYPE_TERMS: Record<CallFilter['type'], RawBuilder<unknown> | null> = {
  all: null,
  answered: sql`c.result = 'answered'`,
  non_zero: sql`c.billed_duration_s > 0`,
  errors: sql`c.result = 'failed'`,
  missed: sql`c.result <> 'answered'`,
};

/** As in the indexes of numbers as written: PostgreSQL uses these only for a query with the same text. */
export const LONGEST_WRITTEN = 128;

const isWritten = (column: NumberColumn): RawBuilder<unknown> =>
  sql`length(${sql.ref(`c.${column}_in`)}) <= ${sql.lit(LONGEST_WRITTEN)}`;

type NumberColumn = 'cli' | 'cld';

/**
 * The conditions of a filter; each call meets at most one of them. `whose` is as for matches(). A number that is stored in one of
 * several forms has a condition for each form, since only then the index of the form returns the calls in order of time.
 */
export function waysTo(filter: CallFilter, whose?: RawBuilder<unknown>): RawBuilder<unknown>[] {
  const { cli, cld, number } = filter;
  if (cli?.kind === 'exact') return waysOf('cli', cli, matches({ ...filter, cli: undefined }, whose));
  if (cld?.kind === 'exact') return waysOf('cld', cld, matches({ ...filter, cld: undefined }, whose));
  if (number?.kind !== 'exact') return [matches(filter, whose)];
  const others = matches({ ...filter, number: undefined }, whose);
  // A call that the caller's number finds is not found again by the called number.
  const unfound = sql`${others} AND (${numberMatches('cli', number)}) IS NOT TRUE`;
  return [...waysOf('cli', number, others), ...waysOf('cld', number, unfound)];
}

function waysOf(
  column: NumberColumn,
  search: NumberSearch & { readonly kind: 'exact' },
  others: RawBuilder<unknown>,
): RawBuilder<unknown>[] {
  const name = sql.ref(`c.${column}`);
  const stored = search.stored.map((number) => sql`${name} = ${number}`);
  // The other condition finds a row whose number is stored in this form.
  const written = search.written.map(
    (text) => sql`${isWritten(column)} AND ${sql.ref(`c.${column}_in`)} COLLATE "C" = ${text}
        AND ${name} NOT IN (${sql.join(search.stored)})`,
  );
  return [...stored, ...written].map((way) => sql`${others} AND ${way}`);
}

function numberMatches(column: NumberColumn, search: NumberSearch): RawBuilder<unknown> {
  const name = sql.ref(`c.${column}`);
  const asWritten = sql`${sql.ref(`c.${column}_in`)} COLLATE "C"`;
  if (search.kind === 'exact') {
    const isStored = sql`${name} IN (${sql.join(search.stored)})`;
    if (search.written.length === 0) return isStored;
    return sql`(${isStored} OR (${isWritten(column)} AND ${asWritten} IN (${sql.join(search.written)})))`;
  }
  const stored = search.stored.map(({ from, below }) => sql`(${name} >= ${from} AND ${name} < ${below})`);
  const written = search.written.map(
    ({ from, below }) => sql`(${isWritten(column)} AND ${asWritten} >= ${from} AND ${asWritten} < ${below})`,
  );
  return sql`(${sql.join([...stored, ...written], sql` OR `)})`;
}
