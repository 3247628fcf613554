/** GET /cdrs, as JSON pages or a CSV stream, and GET /cdrs/{i_cdr}. */
import type { Database } from '#platform/database/database.ts';
import type { ReadFrom, Session } from '#platform/database/session.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { CallAnswer, CallParams, CallsForms, CallsQuery, failures } from '../contract.ts';
import { callsError } from '../errors.ts';
import { monthOfICdr } from '../intake/copy_text.ts';
import { addMonths, startOfMonth } from '../partitions.ts';
import { visibleAccount } from '../store/accounts.ts';
import { callByNumber, type Place } from '../store/calls.ts';
import type { Api } from './api.ts';
import { badParameter, type CallsAsked, readCallsQuery } from './call_query.ts';
import { boundOf, type Caller, READERS, viewOf } from './caller.ts';
import { sendCsv, wantsCsv } from './calls_export.ts';
import { readPage } from './calls_page.ts';
import type { Cursors } from './cursor.ts';
import { shownTo } from './masking.ts';
import type { RecentWrites } from './read_after.ts';
import { elapsed, ticketOf } from './ticket.ts';

export interface CdrRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly cursors: Cursors;
  readonly recentWrites: RecentWrites;
}

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
        return sendCsv(needs, request, reply, asked, ticket);
      }
      if (request.query.time_zone !== undefined) {
        throw badParameter('time_zone', 'is for text/csv; times in JSON are in UTC');
      }
      const after = placeOf(asked, caller);
      const written = recentWrites.before(request);
      const { page, lagS } = await database.read(
        ticket,
        async (session, from) => ({
          page: await readPage(session, asked, after, caller, clock.now()),
          lagS: from.replicaLagS,
        }),
        written,
      );
      const { account, total, next } = page;
      const answer = page.answer({
        ...(total !== undefined && { total }),
        next_cursor: next ? cursors.seal(next, { query: asked.cursorQuery, view: viewOf(caller) }) : null,
        data_complete_to: account.data_complete_to,
        replica_lag_s: lagS,
        duration_ms: elapsed(reply),
      });
      reply.raw.once('finish', page.free);
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
      const read = async (session: Session, from: ReadFrom) => {
        const end = startOfMonth(addMonths(month, 1));
        const call = await session.row(callByNumber(iCdr, startOfMonth(month), end));
        const account = call && (await session.row(visibleAccount(call.i_account, boundOf(caller))));
        if (!call || !account) throw noCall(iCdr);
        return {
          success: true as const,
          data: shownTo(call, caller),
          data_complete_to: account.data_complete_to,
          replica_lag_s: from.replicaLagS,
          duration_ms: elapsed(reply),
        };
      };
      return database.read(ticket, read, recentWrites.before(request));
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
}

/** Answers to queries that take no parameters refuse those that they are given. */
const NoQuery = { type: 'object', additionalProperties: false, properties: {} } as const;

function noCall(iCdr: number) {
  return callsError('not_found', { message: `There is no call ${iCdr}` });
}
