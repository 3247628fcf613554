/** GET /cdrs, as JSON pages or a CSV stream, and GET /cdrs/{i_cdr}. */

import { type AtOnceOptions, createAtOnce } from '#platform/access/at_once.ts';
import type { Caller } from '#platform/access/caller.ts';
import type { Cursors } from '#platform/access/cursor.ts';
import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { RecentWrites } from '#platform/access/read_your_writes.ts';
import type { Database } from '#platform/database/database.ts';
import type { ReadFrom, Session } from '#platform/database/session.ts';
import { elapsed, failures, NO_QUERY } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { CallAnswer, CallParams, CallsQuery } from '../../contract.ts';
import { badParameter, callsError } from '../../errors.ts';
import { monthOfICdr } from '../../i_cdr.ts';
import { addMonths, startOfMonth } from '../../months.ts';
import { type KeysetPosition, visibleCall } from '../../store/calls.ts';
import { READERS, viewOf, visibleRootOf } from '../../visibility.ts';
import { sendCsv } from '../exports/calls_export.ts';
import { type CallsAsked, hasDates, isHeavyPage, readCallsQuery } from './call_query.ts';
import { readPage } from './calls_page.ts';
import { refuseCsvParameters, wantsCsv } from './csv_asked.ts';
import { CallsForms } from './linked_contract.ts';
import { readLinkedPage } from './linked_page.ts';
import { shownTo } from './masking.ts';

export interface CdrRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly cursors: Cursors<KeysetPosition>;
  readonly recentWrites: RecentWrites;
}

/** Each holds some two megabytes, and takes its turns among other heavy work. */
export const EXPORTS: AtOnceOptions = { what: 'exports', perCaller: 4, inAll: 64, retryAfterS: 5 };

export function cdrRoutes(api: Api, needs: CdrRoutesNeeds): void {
  const { database, clock, cursors, recentWrites } = needs;
  const exports = createAtOnce(EXPORTS);

  api.get(
    '/cdrs',
    {
      // A HEAD of an export would read all of it without use.
      exposeHeadRoute: false,
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'Calls of an account, newest first',
        description:
          'Pages by `next_cursor`: calls that come in meanwhile neither repeat nor hide others. With `Accept: text/csv` the answer is the whole range as a file; if the export fails, the connection breaks, so that half a file never looks whole. With `view=calls` all legs of a call are one call.',
        security: [{ bearer: [] }],
        querystring: CallsQuery,
        response: { 200: CallsForms, ...failures(400, 401, 403, 404, 426, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const asked = readCallsQuery(request.query, caller);
      const csv = wantsCsv(request);
      const context = contextOf(request, reply, clock, caller, csv || isHeavyPage(asked) ? 'heavy' : 'light');
      if (csv) return sendCsv({ ...needs, exports }, request, reply, asked, context);
      refuseCsvParameters(request.query);
      if (asked.zone && !hasDates(asked)) {
        throw badParameter('time_zone', 'is for text/csv and for dates; times in JSON are in UTC');
      }
      const after = cursorPosition(asked, caller);
      const written = recentWrites.before(request);
      const { page, lagS } = await database.read(
        context,
        async (session, from) => ({
          page: await (asked.view === 'calls' ? readLinkedPage : readPage)(
            session,
            asked,
            after,
            caller,
            clock.now(),
          ),
          lagS: from.replicaLagS,
        }),
        written,
      );
      const { account, total, next } = page;
      const answer = page.answer({
        ...(total !== undefined && { total }),
        next_cursor: next
          ? cursors.seal(
              { start_time: next.start_time, i_cdr: next.i_cdr },
              { query: asked.cursorQuery, view: viewOf(caller) },
            )
          : null,
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
        summary: 'One call with all its details',
        description: "Its fields, the file and line that it came from, and the switch's other values.",
        security: [{ bearer: [] }],
        params: CallParams,
        querystring: NO_QUERY,
        response: { 200: CallAnswer, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const { i_cdr: iCdr } = request.params;
      const month = monthOfICdr(iCdr);
      if (month === undefined) throw noCall(iCdr);
      const context = contextOf(request, reply, clock, caller);
      const read = async (session: Session, from: ReadFrom) => {
        const end = startOfMonth(addMonths(month, 1));
        const found = await session.row(visibleCall(iCdr, startOfMonth(month), end, visibleRootOf(caller)));
        if (!found) throw noCall(iCdr);
        const { data_complete_to, ...call } = found;
        return {
          success: true as const,
          data: shownTo(call, caller),
          data_complete_to,
          replica_lag_s: from.replicaLagS,
          duration_ms: elapsed(reply),
        };
      };
      return database.read(context, read, recentWrites.before(request));
    },
  );

  function cursorPosition(asked: CallsAsked, caller: Caller): KeysetPosition | undefined {
    if (asked.cursor === undefined) return undefined;
    const opened = cursors.open(asked.cursor, { query: asked.cursorQuery, view: viewOf(caller) });
    switch (opened.kind) {
      case 'position':
        return opened.position;
      case 'former':
        throw callsError('bad_cursor', {
          message: 'The cursor is from an earlier version: leave it out to start again',
          fields: { fields: ['cursor'] },
        });
      case 'forged':
        throw callsError('bad_cursor', { fields: { fields: ['cursor'] } });
      case 'foreign':
        throw callsError('not_found', { message: 'There is no such cursor' });
      case 'other_query':
        throw callsError('cursor_of_other_query', {
          message: `The cursor belongs to a query with another ${opened.differs.join(', ')}; leave it out to start again`,
          fields: { fields: ['cursor', ...opened.differs] },
        });
    }
  }
}

export function noCall(iCdr: number) {
  return callsError('not_found', { message: `There is no call ${iCdr}` });
}
