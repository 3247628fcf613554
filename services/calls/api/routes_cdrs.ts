/** GET /cdrs, as JSON pages or a CSV stream, and GET /cdrs/{i_cdr}. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database, Ticket } from '#platform/database/database.ts';
import type { Session } from '#platform/database/session.ts';
import type { Statement } from '#platform/database/statement.ts';
import { rfc3339 } from '#platform/database/types.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { DEFAULT_REQUEST_TIMEOUT_MS } from '#platform/resilience/deadline.ts';
import { CallAnswer, CallParams, CallsForms, CallsQuery, failures } from '../contract.ts';
import { callsError } from '../errors.ts';
import { monthOfICdr } from '../intake/copy_text.ts';
import { addMonths, startOfMonth } from '../partitions.ts';
import { type VisibleAccount, visibleAccount } from '../store/accounts.ts';
import { type CallRow, callByNumber, countCalls, type Place, pageOfCalls } from '../store/calls.ts';
import { totalOfCalls } from '../store/usage.ts';
import { type ZoneClock, zoneClock } from '../time/zone_clock.ts';
import { coverRange } from '../usage/usage_cover.ts';
import type { Api } from './api.ts';
import { badParameter, type CallsAsked, readCallsQuery, zoneOf } from './call_query.ts';
import { boundOf, type Caller, READERS, seesMasked, viewOf } from './caller.ts';
import { CSV_HEADER, csvLine } from './calls_csv.ts';
import type { Cursors } from './cursor.ts';
import { maskCall } from './masking.ts';
import { nearbyMonths } from './nearby_months.ts';
import type { RecentWrites } from './read_after.ts';
import { ticketOf } from './ticket.ts';

export interface CdrRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly cursors: Cursors;
  readonly recentWrites: RecentWrites;
}

/** Calls that one statement of an export reads: memory holds two such batches, and no transaction is held open. */
const EXPORT_BATCH = 2_000;

export function cdrRoutes(api: Api, needs: CdrRoutesNeeds): void {
  const { database, clock, cursors, recentWrites } = needs;

  api.get(
    '/cdrs',
    {
      // A HEAD of an export would read all of it for nothing.
      exposeHeadRoute: false,
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'Calls of an account, newest first',
        description:
          'Pages by `next_cursor`: calls that come in meanwhile neither repeat nor hide others. With `Accept: text/csv` the whole range as a file; if it cannot be finished the connection breaks, so that half a file never looks whole.',
        security: [{ bearer: [] }],
        querystring: CallsQuery,
        response: { 200: CallsForms, ...failures(400, 401, 403, 404, 426, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const asked = readCallsQuery(request.query, caller);
      const ticket = ticketOf(request, reply, clock, caller);
      if (wantsCsv(request)) {
        return sendCsv(request, reply, asked, ticket);
      }
      if (request.query.time_zone !== undefined) {
        throw badParameter('time_zone', 'is for text/csv; times in JSON are in UTC');
      }
      const after = placeOf(asked, caller);
      const written = recentWrites.before(request);
      const answer = await database.read(
        ticket,
        async (session, from) => {
          const account = await findAccount(session, asked.filter.iAccount, caller);
          const page = await readPage(session, asked, after, caller, clock.now());
          const total = await totalOf(session, asked, account, after || page.next ? undefined : page.count);
          const rest = {
            ...(total !== undefined && { total }),
            next_cursor: page.next
              ? cursors.seal(page.next, { query: asked.cursorQuery, view: viewOf(caller) })
              : null,
            data_complete_to: account.data_complete_to,
            replica_lag_s: from.replicaLagS,
            duration_ms: elapsed(reply),
          };
          const bytes = Buffer.concat([
            PAGE_BEGINS,
            page.calls,
            Buffer.from(`,${JSON.stringify(rest).slice(1)}`),
          ]);
          page.free?.();
          return bytes;
        },
        written,
      );
      return reply.type('application/json; charset=utf-8').send(answer as never); // bytes of what the schema describes
    },
  );

  api.get(
    '/cdrs/:i_cdr',
    {
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'One call with all that is known of it',
        description: 'Its fields, the file and line that it came from, and what else the switch gave.',
        security: [{ bearer: [] }],
        params: CallParams,
        querystring: NoQuery,
        response: { 200: CallAnswer, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const { i_cdr: iCdr } = request.params;
      const month = monthOfICdr(iCdr);
      if (month === undefined) throw noCall(iCdr);
      const ticket = ticketOf(request, reply, clock, caller);
      const call = await database.read(
        ticket,
        async (session) => {
          const end = startOfMonth(addMonths(month, 1));
          const row = await session.row(callByNumber(iCdr, startOfMonth(month), end));
          if (!row || !(await session.row(visibleAccount(row.i_account, boundOf(caller)))))
            throw noCall(iCdr);
          return row;
        },
        recentWrites.before(request),
      );
      return { success: true as const, data: shown(call, caller), duration_ms: elapsed(reply) };
    },
  );

  function placeOf(asked: CallsAsked, caller: Caller): Place | undefined {
    if (asked.cursor === undefined) return undefined;
    const opened = cursors.open(asked.cursor, { query: asked.cursorQuery, view: viewOf(caller) });
    switch (opened.kind) {
      case 'place':
        return opened.place;
      case 'forged':
        throw callsError('bad_cursor', { fields: { fields: ['cursor'] } });
      case 'foreign':
        throw callsError('not_found', { message: 'There is no such cursor' });
      case 'other_query':
        throw callsError('cursor_of_other_query', {
          message: `The cursor belongs to a query with another ${opened.differs.join(', ')}; leave it out to begin anew`,
          fields: { fields: ['cursor', ...opened.differs] },
        });
    }
  }

  /** Reads the first batch before it answers, so that what can fail at once fails with a status of its own. */
  async function sendCsv(
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
    const readBatch = async (after: Place | undefined) => {
      // Each batch has the time of a request: a large export is many short queries, not one long one.
      const batchTicket = { ...ticket, deadline: clock.monotonic() + DEFAULT_REQUEST_TIMEOUT_MS };
      return database.read(
        batchTicket,
        (session) => session.rows(pageOfCalls(asked.filter, asked.order, after, EXPORT_BATCH)),
        written,
      );
    };
    await database.read(ticket, (session) => findAccount(session, asked.filter.iAccount, caller), written);
    const first = await readBatch(undefined);
    return reply
      .type('text/csv; charset=utf-8; header=present')
      .header('content-disposition', `attachment; filename="${fileName(asked)}"`)
      .send(Readable.from(csvText(first, readBatch, caller, zone)));
  }
}

const PAGE_BEGINS = Buffer.from('{"success":true,"data":');

interface Page {
  /** A JSON array. */
  readonly calls: Buffer;
  readonly count: number;
  /** Where the next page begins, if there is one. */
  readonly next: Place | undefined;
  /** Gives the memory of `calls` back once they are copied. */
  readonly free?: () => void;
}

async function readPage(
  session: Session,
  asked: CallsAsked,
  after: Place | undefined,
  caller: Caller,
  now: number,
): Promise<Page> {
  const { order, limit } = asked;
  const read = seesMasked(caller) ? readMasked : readBytes;
  let page: Page | undefined;
  for (const filter of nearbyMonths(asked.filter, order, after, now)) {
    page?.free?.();
    page = await read(session, pageOfCalls(filter, order, after, limit + 1), limit);
    if (page.next) break;
  }
  return page!;
}

/** Numbers are masked in JavaScript. */
async function readMasked(session: Session, statement: Statement<CallRow>, limit: number): Promise<Page> {
  const found = await session.rows(statement);
  const calls = found.slice(0, limit);
  return {
    calls: Buffer.from(JSON.stringify(calls.map(maskCall))),
    count: calls.length,
    next: found.length > limit ? calls.at(-1) : undefined,
  };
}

/** A page that shows numbers goes from PostgreSQL's bytes to JSON's without a stop. */
async function readBytes(session: Session, statement: Statement<CallRow>, limit: number): Promise<Page> {
  const page = await session.json(statement, { limit, keep: ['start_time', 'i_cdr'] });
  const { start_time, i_cdr } = page.last ?? {};
  const next =
    page.more && start_time && i_cdr ? { start_time: rfc3339(start_time), i_cdr: Number(i_cdr) } : undefined;
  return { calls: page.bytes, count: page.count, next, free: page.free };
}

/** Answers to queries that take no parameters refuse those that they are given. */
const NoQuery = { type: 'object', additionalProperties: false, properties: {} } as const;

async function* csvText(
  first: readonly CallRow[],
  readBatch: (after: Place) => Promise<readonly CallRow[]>,
  caller: Caller,
  zone: ZoneClock,
): AsyncGenerator<string> {
  yield CSV_HEADER;
  for (let batch = first; batch.length > 0; ) {
    yield batch.map((call) => csvLine(shown(call, caller), zone)).join('');
    if (batch.length < EXPORT_BATCH) return;
    batch = await readBatch(batch.at(-1)!);
  }
}

function fileName({ filter }: CallsAsked): string {
  const date = (instant: string | undefined) => (instant === undefined ? '' : `-${instant.slice(0, 10)}`);
  return `calls-${filter.iAccount}${date(filter.from)}${date(filter.to)}.csv`;
}

/** @throws ApiError 404, the same for an account of somebody else and one that does not exist */
export async function findAccount(
  session: Session,
  iAccount: number,
  caller: Caller,
): Promise<VisibleAccount> {
  const account = await session.row(visibleAccount(iAccount, boundOf(caller)));
  if (!account) throw callsError('not_found', { message: `There is no account ${iAccount}` });
  return account;
}

function noCall(iCdr: number) {
  return callsError('not_found', { message: `There is no call ${iCdr}` });
}

/**
 * The total beside a page. Page and total are two statements, and a call may come in between; read after the page, the
 * total is never less than what the page shows, and where the page is all there is, it is the page's own count.
 */
async function totalOf(
  session: Session,
  asked: CallsAsked,
  account: VisibleAccount,
  all: number | undefined,
): Promise<number | undefined> {
  if (asked.total === 'none') return undefined;
  if (all !== undefined) return all;
  if (asked.total === 'counted') return (await session.row(countCalls(asked.filter)))!.total;
  const total = (zone: ZoneClock | undefined) =>
    session.row(totalOfCalls(asked.filter.iAccount, asked.filter.type, coverRange(asked.range, zone)));
  const byDays = (await total(zoneClock(account.time_zone)))!;
  return byDays.days_confirmed ? byDays.total : (await total(undefined))!.total;
}

const shown = <Row extends CallRow>(call: Row, caller: Caller): Row =>
  seesMasked(caller) ? maskCall(call) : call;

/** Milliseconds since the request came in, to a tenth. */
export const elapsed = (reply: FastifyReply): number => Math.round(reply.elapsedTime * 10) / 10;

/** Whether text/csv is named in Accept and not put behind JSON. */
function wantsCsv(request: FastifyRequest): boolean {
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
