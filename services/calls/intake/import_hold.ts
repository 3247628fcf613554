/**
 * Holds imports while their process runs, so that others can tell a running import from an interrupted one. A hold is an
 * instant in the database that is renewed: unlike a lock of a session it also works through PgBouncer, and after a kill or
 * a power failure it ends by itself.
 */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { holdImport, leaveImport } from '../store/imports.ts';

/** A hold lasts for IMPORT_HELD_S (store/imports.ts): several renewals may fail before the import seems interrupted. */
export const RENEW_MS = 15_000;

export interface ImportHold {
  /** Renews the hold of one more import from now on. A new import is held by the statement that begins it. */
  add(iImport: number): void;
  /** Ends all holds. Never fails: without a database the holds end by themselves. */
  leave(): Promise<void>;
}

export function holdImports(pool: Pool, clock: Clock): ImportHold {
  const held = new Set<number>();
  const leaving = new AbortController();
  let renewing: Promise<void> | undefined;

  /** One import a statement: a statement that locks several would need the order of all others that do. */
  async function each(statement: typeof holdImport): Promise<void> {
    for (const iImport of held)
      await withSession(pool, (session) => session.run(statement(iImport))).catch(() => undefined);
  }

  async function renew(): Promise<void> {
    for (;;) {
      await clock.sleep(RENEW_MS, leaving.signal).catch(() => undefined);
      if (leaving.signal.aborted) return;
      await each(holdImport);
    }
  }

  return {
    add(iImport) {
      held.add(iImport);
      renewing ??= renew();
    },
    async leave() {
      leaving.abort();
      await renewing;
      await each(leaveImport);
    },
  };
}
