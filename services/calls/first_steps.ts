/** This service's part of the output of `trunkline up` at the first start (platform/service). */
import { type Pool, withSession } from '#platform/database/pool.ts';
import { grouped } from '#platform/terminal/print.ts';
import { importDemo } from './jobs/demo.ts';
import { visibleAccounts } from './store/accounts.ts';

/** Imports the sample of calls into an empty database. */
export async function fill(pool: Pool, now: number): Promise<string | undefined> {
  const stored = await importDemo(pool, now);
  return stored > 0 ? `${grouped(stored)} invented calls imported` : undefined;
}

/** A request for calls, or for accounts if there are none yet. */
export async function example(pool: Pool): Promise<{ what: string; path: string }> {
  const [first] = await withSession(pool, (session) => session.rows(visibleAccounts(null, 0, 1)));
  return first
    ? { what: 'Ask for calls', path: `/cdrs?i_account=${first.i_account}&limit=3` }
    : { what: 'Ask for accounts, of which there are none yet', path: '/accounts' };
}
