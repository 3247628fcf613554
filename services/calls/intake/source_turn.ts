/**
 * Two writers that store calls of one source at once: each looks up known calls, and neither sees the calls that the other
 * is about to store. The unique index stops them only if both read a row alike; in another time zone the row has another start.
 *
 * So each turn of a source is counted. A writer notes the last turn before its look-ups, and takes the next one when all is
 * written: it then waits for other writers that have taken theirs, and learns whether one of them came in between. If so,
 * it looks up its new calls again. If another writer has stored some of them, or calls were combined from several records,
 * the writer rolls back and does all again, alone: it holds the source's lock from before the look-up on.
 *
 * A lock from the start would be simpler. But batches of one import, of which two are stored at once, would wait for each
 * other, and every post for a whole batch of an import. They know each other's rows without a lock: turns of the same
 * writer do not count.
 */
import type { Session } from '#platform/database/session.ts';
import { lastTurn, lockSource, takeTurn } from '../store/source_turns.ts';
import type { ImportSource } from './import_source.ts';

/** Other writers have stored calls of the source meanwhile: to be done again, alone. */
export class MetOthersError extends Error {
  constructor(source: string) {
    super(`others have stored calls of ${source} meanwhile`);
    this.name = 'MetOthersError';
  }
}

export interface SourceTurn {
  /**
   * Ends the turn before the commit.
   * @param isStillNew returns whether the new calls are still new
   * @throws MetOthersError
   */
  end(isStillNew: () => Promise<boolean>): Promise<void>;
}

/** @param alone whether no other writer may store calls of the source meanwhile */
export async function beginTurn(
  session: Session,
  importSource: ImportSource,
  alone: boolean,
): Promise<SourceTurn> {
  await session.run(lockSource(importSource.source, alone ? 'exclusive' : 'shared'));
  const before = (await session.row(lastTurn(importSource.source)))?.turn ?? 0;
  return {
    async end(isStillNew) {
      const { since } = (await session.row(takeTurn(importSource.source, importSource.writer)))!;
      if (since > before + 1 && !alone && !(await isStillNew()))
        throw new MetOthersError(importSource.source);
    },
  };
}
