/** GET /cdrs as a file: the whole range as CSV, read batch by batch while it is sent. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AtOnce } from '#platform/access/at_once.ts';
import { type Caller, tenantOf } from '#platform/access/caller.ts';
import type { RecentWrites } from '#platform/access/read_your_writes.ts';
import { type ByteOutput, writeText } from '#platform/database/byte_output.ts';
import type { Database, RequestContext } from '#platform/database/database.ts';
import type { ReadFrom, Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '#platform/resilience/deadline.ts';
import { CALL_COLUMNS } from '../../call_fields.ts';
import type { CallsQuery, Order } from '../../contract.ts';
import { csvHeader } from '../../csv/csv_form.ts';
import { badParameter, callsError } from '../../errors.ts';
import type { KeysetPosition } from '../../store/calls.ts';
import { findVisibleAccounts } from '../lists/account_access.ts';
import { type CallsAsked, type ResolvedQuery, resolveQuery } from '../lists/call_query.ts';
import { datesOf, fileHead, readCsvForm, tellFreshness } from '../lists/csv_asked.ts';
import { LINKED_FILE_COLUMNS, linkedBatchReader } from '../lists/linked_page.ts';
import { batchReader, type ReadBatch } from './calls_batch.ts';
import { type Batch, batchMemory, readPatiently, sendBatches } from './send_batches.ts';

export interface ExportNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
  readonly exports: AtOnce;
}

/** An export ends when its client has read nothing for this long: it keeps another export from starting. */
const STALLED_MS = 60_000;

/**
 * Each batch is heavy work, so exports take turns with other heavy work, and pages find room beside them.
 *
 * It reads the first batch before it answers, so that an immediate failure has a status of its own.
 */
export async function sendCsv(
  { database, clock, recentWrites, exports }: ExportNeeds,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: CallsAsked,
  context: RequestContext,
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
  const files =
    asked.view === 'calls' ? linkedFile(query, asked.order, caller) : recordFile(query, asked.order, caller);
  exports.enter(tenantOf(caller), reply.raw);
  const written = recentWrites.before(request);
  let readBatch: ReadBatch;
  // A read may be repeated once: it then begins its batch again.
  const readInto = async (
    session: Session,
    after: KeysetPosition | undefined,
    out: ByteOutput,
  ): Promise<Batch> => {
    out.at = 0;
    if (!after) writeText(out, files.header);
    return { out, next: await readBatch(session, after, out, clock.now()) };
  };
  const begin = async (session: Session, from: ReadFrom) => {
    const found = await findVisibleAccounts(session, asked.accounts, caller);
    const resolved = resolveQuery(asked, found);
    readBatch = files.reader(resolved);
    const first = await readInto(session, undefined, batchMemory());
    return { account: found.account, resolved, first, lagS: from.replicaLagS };
  };
  const { account, resolved, first, lagS } = await database.read(context, begin, written);
  const readNext = (after: KeysetPosition, out: ByteOutput) =>
    readPatiently(clock, STALLED_MS, () => {
      // Each batch has the time of a request: a large export is many short queries, not one long one.
      const batchContext = { ...context, deadline: clock.monotonic() + DEFAULT_REQUEST_TIMEOUT_MS };
      return database.read(batchContext, (session) => readInto(session, after, out), written);
    });
  tellFreshness(reply, account.data_complete_to, lagS);
  fileHead(reply, fileName(resolved));
  reply.hijack();
  reply.raw.setTimeout(STALLED_MS, () => reply.raw.destroy());
  reply.raw.writeHead(200, reply.getHeaders() as OutgoingHttpHeaders);
  await sendBatches(reply.raw, first, readNext).catch((error) => {
    if (!reply.raw.destroyed) request.log.warn({ err: error }, 'an export broke off');
    reply.raw.destroy();
  });
  return reply;
}

/** The head of a file, and how to read its batches. */
interface File {
  readonly header: string;
  reader(resolved: ResolvedQuery): ReadBatch;
}

function recordFile(query: CallsQuery, order: Order, caller: Caller): File {
  const form = readCsvForm(query, CALL_COLUMNS);
  return {
    header: csvHeader(form),
    reader: ({ filter, zone }) => batchReader(filter, order, caller, zone, form),
  };
}

function linkedFile(query: CallsQuery, order: Order, caller: Caller): File {
  const form = readCsvForm(query, LINKED_FILE_COLUMNS);
  return {
    header: csvHeader(form),
    reader: ({ filter, zone }) => linkedBatchReader(filter, order, caller, zone, form),
  };
}

function fileName({ filter, range, zone }: ResolvedQuery): string {
  const account = filter.iAccount === null ? [] : [String(filter.iAccount)];
  return ['calls', ...account, ...datesOf(range, zone)].join('-');
}
