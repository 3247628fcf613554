/** `trunkline import cdrs --follow`: reads on until a signal ends it. */
import { resolve } from 'node:path';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { CommandDatabase } from '#platform/service/commands.ts';
import { printable } from '#platform/telemetry/printable.ts';
import { grouped, note } from '#platform/terminal/print.ts';
import { followSources, type SourceStatus } from '../follow/follow.ts';
import { addCounts, type ImportCounts, newCounts } from '../intake/import_counts.ts';
import type { ImportOptions } from '../intake/import_file.ts';
import type { CallsTools } from './tools.ts';

/** How often progress is reported while rows come. */
const TELL_MS = 10_000;

interface Followed {
  readonly total: ImportCounts;
  /** A sentence for each unreadable source. */
  readonly failures: readonly string[];
  readonly statuses: readonly SourceStatus[];
  readonly seconds: number;
}

/**
 * Follows files and folders until a signal.
 * @param optionsOf the read options for all of them
 * @param onEnd is awaited while the database is still open
 */
export function followFiles(
  { parts, withDatabase }: CallsTools,
  paths: readonly string[],
  optionsOf: (database: CommandDatabase) => Promise<ImportOptions>,
  onEnd: (database: CommandDatabase, total: ImportCounts, failures: readonly string[]) => Promise<void>,
): Promise<Followed> {
  return withDatabase(
    async (database) => {
      const options = await optionsOf(database);
      const { pool, url, ending } = database;
      const started = performance.now();
      const whole = [...new Set(paths.map((path) => resolve(path)))];
      note(`following ${whole.map(printable).join(', ')}; Ctrl-C ends it`);
      let toldAt = started;
      const total = () => totalOf(followed.statuses);
      const followed = followSources(
        {
          pool,
          clock: systemClock,
          room: parts().roomAt(url),
          warn: (path, words) => note(`${printable(path)}: ${words}`),
          onStored: () => {
            if (performance.now() - toldAt < TELL_MS) return;
            toldAt = performance.now();
            const behind = followed.statuses.reduce((sum, { bytesBehind }) => sum + bytesBehind, 0);
            note(`${grouped(total().stored)} calls stored, ${grouped(behind)} bytes behind`);
          },
        },
        whole.map((path) => ({ path, after: { kind: 'keep' }, options })),
        ending,
      );
      await followed.done;
      const seconds = (performance.now() - started) / 1_000;
      const { statuses } = followed;
      const failures = statuses.flatMap(({ path, state, detail }) =>
        state === 'failing' ? [`${printable(path)}: ${detail}`] : [],
      );
      await onEnd(database, total(), failures);
      return { total: total(), failures, statuses, seconds };
    },
    { endsItself: true },
  );
}

function totalOf(statuses: readonly SourceStatus[]): ImportCounts {
  const total = newCounts();
  for (const { counts } of statuses) addCounts(total, counts);
  return total;
}
