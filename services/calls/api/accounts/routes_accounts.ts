/** GET /accounts: the accounts that a caller may see. */

import { contextOf } from '#platform/access/http_context.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { RecentWrites } from '#platform/access/read_your_writes.ts';
import type { Database } from '#platform/database/database.ts';
import { elapsed, failures } from '#platform/http/answers.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { visibleAccounts } from '../../store/accounts.ts';
import { type Micros, utcText } from '../../time/instants.ts';
import { READERS, visibleRootOf } from '../../visibility.ts';
import { textShownTo } from '../lists/masking.ts';
import { AccountsAnswer, AccountsQuery } from './accounts_contract.ts';

const textOf = (at: Micros | null) => (at === null ? null : utcText(at));

export interface AccountRoutesNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly recentWrites: RecentWrites;
}

export function accountRoutes(api: Api, { database, clock, recentWrites }: AccountRoutesNeeds): void {
  api.get(
    '/accounts',
    {
      config: { scopes: READERS },
      schema: {
        tags: ['calls'],
        summary: 'The accounts that are visible to the key, by their numbers',
        description:
          "For a customer's key its account and all accounts below it are visible; of a moved account the calls before or after the move. `GET /cdrs` and `GET /consumption` take `i_account`, and with `include=children` include all accounts below it.",
        security: [{ bearer: [] }],
        querystring: AccountsQuery,
        response: { 200: AccountsAnswer, ...failures(400, 401, 403, 429, 503) },
      },
    },
    async (request, reply) => {
      const caller = request.caller!;
      const { after, limit } = request.query;
      // One more than the page holds shows whether there is another page.
      const found = await database.read(
        contextOf(request, reply, clock, caller),
        (session) => session.rows(visibleAccounts(visibleRootOf(caller), after!, limit! + 1)),
        recentWrites.before(request),
      );
      const data = found.slice(0, limit).map((account) => ({
        ...account,
        code: textShownTo(account.code, caller),
        name: textShownTo(account.name, caller),
        seen: account.seen?.map(({ from, to }) => ({ from: textOf(from), to: textOf(to) })) ?? null,
      }));
      const next_after = found.length > data.length ? data.at(-1)!.i_account : null;
      return { success: true as const, data, next_after, duration_ms: elapsed(reply) };
    },
  );
}
