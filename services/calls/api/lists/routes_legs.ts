/** GET /cdrs/{i_cdr}/legs: the records of a record's call. */

import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import { elapsed, failures, NO_QUERY } from '#platform/http/answers.ts';
import { CallParams } from '../../contract.ts';
import { monthOfICdr } from '../../i_cdr.ts';
import { addMonths, startOfMonth } from '../../months.ts';
import { legsOfCall } from '../../store/linked_calls.ts';
import { READERS, seesMasked, visibleRootOf } from '../../visibility.ts';
import { LegsAnswer, MAX_LEGS } from './linked_contract.ts';
import { shownTo } from './masking.ts';
import { type CdrRoutesNeeds, noCall } from './routes_cdrs.ts';

export function legRoutes(
  api: Api,
  { database, clock, recentWrites }: Omit<CdrRoutesNeeds, 'cursors'>,
): void {
  api.get(
    '/cdrs/:i_cdr/legs',
    {
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'The legs of a call, in order of time',
        description: 'The record may be the first leg of the call or another one.',
        security: [{ bearer: [] }],
        params: CallParams,
        querystring: NO_QUERY,
        response: { 200: LegsAnswer, ...failures(400, 401, 403, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const { i_cdr: iCdr } = request.params;
      const month = monthOfICdr(iCdr);
      if (month === undefined) throw noCall(iCdr);
      const [from, to] = [startOfMonth(month), startOfMonth(addMonths(month, 1))];
      const asked = legsOfCall(iCdr, from, to, visibleRootOf(caller), seesMasked(caller), MAX_LEGS);
      return database.read(
        contextOf(request, reply, clock, caller),
        async (session, source) => {
          const legs = await session.rows(asked);
          if (legs.length === 0) throw noCall(iCdr);
          return {
            success: true as const,
            data: legs.map(({ total: _, ...leg }) => shownTo(leg, caller)),
            total: legs[0]!.total,
            replica_lag_s: source.replicaLagS,
            duration_ms: elapsed(reply),
          };
        },
        recentWrites.before(request),
      );
    },
  );
}
