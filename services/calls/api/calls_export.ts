/** GET /cdrs as a file: the whole range as CSV, read batch by batch while it is sent. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database, Ticket } from '#platform/database/database.ts';
import { type ByteOutput, writeText } from '#platform/database/rows/byte_output.ts';
import type { ReadFrom, Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '#platform/resilience/deadline.ts';
import type { CallsQuery } from '../contract.ts';
import { callsError } from '../errors.ts';
import type { Place } from '../store/calls.ts';
import { findAccount } from './account_access.ts';
import { badParameter, type CallsAsked, zoneOf } from './call_query.ts';
import { batchReader } from './calls_batch.ts';
import { CSV_HEADER } from './calls_csv.ts';
import type { RecentWrites } from './read_after.ts';
import { type Batch, batchMemory, sendBatches } from './send_batches.ts';

export interface ExportNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
}

/** What a file's data is worth, as it was when the export began: `data_complete_to` and `replica_lag_s` of other answers. */
export const FRESHNESS_HEADERS = ['x-data-complete-to', 'x-replica-lag-s'] as const;

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
  const readBatch = batchReader(asked, caller, zone);
  // A read may be done once more: it begins its batch anew.
  const readInto = async (session: Session, after: Place | undefined, out: ByteOutput): Promise<Batch> => {
    out.at = 0;
    if (!after) writeText(out, CSV_HEADER);
    return { out, next: await readBatch(session, after, out, clock.now()) };
  };
  const begin = async (session: Session, from: ReadFrom) => ({
    account: await findAccount(session, asked.filter.iAccount, caller),
    first: await readInto(session, undefined, batchMemory()),
    lagS: from.replicaLagS,
  });
  const { account, first, lagS } = await database.read(ticket, begin, written);
  const readNext = (after: Place, out: ByteOutput) => {
    // Each batch has the time of a request: a large export is many short queries, not one long one.
    const batchTicket = { ...ticket, deadline: clock.monotonic() + DEFAULT_REQUEST_TIMEOUT_MS };
    return database.read(batchTicket, (session) => readInto(session, after, out), written);
  };
  const [completeTo, replicaLag] = FRESHNESS_HEADERS;
  if (account.data_complete_to !== null) reply.header(completeTo, account.data_complete_to);
  if (lagS !== null) reply.header(replicaLag, lagS);
  reply
    .type('text/csv; charset=utf-8; header=present')
    .header('content-disposition', `attachment; filename="${fileName(asked)}"`);
  reply.hijack();
  reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders);
  await sendBatches(reply.raw, first, readNext).catch((error) => {
    if (!reply.raw.destroyed) request.log.warn({ err: error }, 'an export broke off');
    reply.raw.destroy();
  });
  return reply;
}

function fileName({ filter }: CallsAsked): string {
  const date = (instant: string | undefined) => (instant === undefined ? '' : `-${instant.slice(0, 10)}`);
  return `calls-${filter.iAccount}${date(filter.from)}${date(filter.to)}.csv`;
}
