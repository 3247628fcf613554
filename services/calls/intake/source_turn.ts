/**
 * Two that store calls of one source at once: each looks up what is known, and neither sees what the other is about to
 * store. The unique index stops them only where both read a row alike; with another time zone it is another start.
 *
 * So each turn of a source is counted. Who stores notes the last turn before looking anything up, and takes the next one
 * when all is written: that waits for the others who have taken theirs, and tells whether one of them came in between.
 * Then what was new is looked up again, and where another has stored some of it, or where calls were put together from
 * several tellings, all is undone and done again, alone: with the source's lock for itself from before the look-up on.
 *
 * A lock from the start would be simpler, but batches of one import, of which two are stored at once, would wait for each
 * other, and every post for a whole batch of an import. They know of each other's rows without it: turns of the same
 * writer do not count.
 */
import type { Session } from '#platform/database/session.ts';
import { lastTurn, lockSource, takeTurn } from '../store/source_turns.ts';
import type { Origin } from './origin.ts';

/** Others have stored calls of the source meanwhile: to be done again, alone. */
export class MetOthersError extends Error {
  constructor(source: string) {
    super(`others have stored calls of ${source} meanwhile`);
    this.name = 'MetOthersError';
  }
}

export interface SourceTurn {
  /**
   * Ends the turn, with what was written still open.
   * @param isStillNew tells whether what was new is so still
   * @throws MetOthersError
   */
  end(isStillNew: () => Promise<boolean>): Promise<void>;
}

/** @param alone whether nobody else may store calls of the source meanwhile */
export async function beginTurn(session: Session, origin: Origin, alone: boolean): Promise<SourceTurn> {
  await session.run(lockSource(origin.source, alone ? 'exclusive' : 'shared'));
  const before = (await session.row(lastTurn(origin.source)))?.turn ?? 0;
  return {
    async end(isStillNew) {
      const { since } = (await session.row(takeTurn(origin.source, origin.writer)))!;
      if (since > before + 1 && !alone && !(await isStillNew())) throw new MetOthersError(origin.source);
    },
  };
}
