/** GET /cdrs as a file: the whole range as CSV, read batch by batch while it is sent. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database, ReadFrom, Ticket } from '#platform/database/database.ts';
import type { Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '#platform/resilience/deadline.ts';
import type { CallsQuery } from '../contract.ts';
import { callsError } from '../errors.ts';
import { type CallRow, type Place, pageOfCalls } from '../store/calls.ts';
import type { ZoneClock } from '../time/zone_clock.ts';
import { findAccount } from './account_access.ts';
import { badParameter, type CallsAsked, zoneOf } from './call_query.ts';
import type { Caller } from './caller.ts';
import { CSV_HEADER, csvLine } from './calls_csv.ts';
import { shownTo } from './masking.ts';
import type { RecentWrites } from './read_after.ts';

export interface ExportNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
}

/** What a file's data is worth, as it was when the export began: `data_complete_to` and `replica_lag_s` of other answers. */
export const FRESHNESS_HEADERS = ['x-data-complete-to', 'x-replica-lag-s'] as const;

/** Calls that one statement of an export reads: memory holds two such batches, and no transaction is held open. */
const EXPORT_BATCH = 2_000;

/** Whether text/csv is named in Accept and not put behind JSON. */
export function wantsCsv(request: FastifyRequest): boolean {
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

/** Reads the first batch before it answers, so that what can fail at once fails with a status of its own. */
export async function sendCsv(
  { database, clock, recentWrites }: ExportNeeds,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: CallsAsked,
  ticket: Ticket,
): Promise<FastifyReply> {
  const caller = request.caller!;
  const query = request.query as CallsQuery;
  for (const name of ['limit', 'cursor', 'with_total'] as const) {
    if (query[name] !== undefined)
      throw badParameter(name, 'is for pages; text/csv is always the whole range');
  }
  if (request.raw.httpVersion === '1.0') {
    reply.header('upgrade', 'HTTP/1.1').header('connection', 'upgrade, close');
    throw callsError('http_1_1_needed');
  }
  const zone = zoneOf(query.time_zone ?? 'UTC');
  const written = recentWrites.before(request);
  const batch = (session: Session, after?: Place) =>
    session.rows(pageOfCalls(asked.filter, asked.order, after, EXPORT_BATCH));
  const readBatch = async (after: Place) => {
    // Each batch has the time of a request: a large export is many short queries, not one long one.
    const batchTicket = { ...ticket, deadline: clock.monotonic() + DEFAULT_REQUEST_TIMEOUT_MS };
    return database.read(batchTicket, (session) => batch(session, after), written);
  };
  const begin = async (session: Session, from: ReadFrom) => ({
    account: await findAccount(session, asked.filter.iAccount, caller),
    first: await batch(session),
    lagS: from.replicaLagS,
  });
  const { account, first, lagS } = await database.read(ticket, begin, written);
  const [completeTo, replicaLag] = FRESHNESS_HEADERS;
  if (account.data_complete_to !== null) reply.header(completeTo, account.data_complete_to);
  if (lagS !== null) reply.header(replicaLag, lagS);
  return reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', `attachment; filename="${fileName(asked)}"`)
    .send(Readable.from(csvText(first, readBatch, caller, zone)));
}

async function* csvText(
  first: readonly CallRow[],
  readBatch: (after: Place) => Promise<readonly CallRow[]>,
  caller: Caller,
  zone: ZoneClock,
): AsyncGenerator<string> {
  yield CSV_HEADER;
  for (let batch = first; batch.length > 0; ) {
    yield batch.map((call) => csvLine(shownTo(call, caller), zone)).join('');
    if (batch.length < EXPORT_BATCH) return;
    batch = await readBatch(batch.at(-1)!);
  }
}

function fileName({ filter }: CallsAsked): string {
  const date = (instant: string | undefined) => (instant === undefined ? '' : `-${instant.slice(0, 10)}`);
  return `calls-${filter.iAccount}${date(filter.from)}${date(filter.to)}.csv`;
}
