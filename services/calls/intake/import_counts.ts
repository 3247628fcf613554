/** The counts of an import. */
import type { RowOutcome } from './rows.ts';

export interface ImportCounts {
  read: number;
  stored: number;
  completed: number;
  duplicates: number;
  conflicts: number;
  rejected: number;
  /** Of the conflicts and the rejected rows: those that no earlier import had rejected. */
  newlyRejected: number;
  /** Stored calls of months that retention removes next. */
  olderThanRetention: number;
  /** The number of rejected rows by reason. */
  readonly reasons: Map<string, number>;
  /** The number of rows that were rejected because an option is missing. */
  readonly needs: Map<ReadingOption, number>;
  /** By import: calls that keep the times which it stored, where the repeated row was read at others. */
  readonly keptTimes: Map<number, number>;
  /** Account codes in the rows that differ from others in case alone, in groups. Reported when the source has ended. */
  readonly alikeCodes: string[][];
}

export type ReadingOption = 'date-order' | 'decimal-sign';
/** As reasons name it: `say --date-order dmy, mdy or ymd`, `say which with --decimal-sign .`. */
const NEEDS = /; say (?:which with )?--(date-order|decimal-sign) /;

export const newCounts = (): ImportCounts => ({
  read: 0,
  stored: 0,
  completed: 0,
  duplicates: 0,
  conflicts: 0,
  rejected: 0,
  newlyRejected: 0,
  olderThanRetention: 0,
  reasons: new Map(),
  needs: new Map(),
  keptTimes: new Map(),
  alikeCodes: [],
});

/** @param firstKept an i_cdr: calls with lower ones are older than retention keeps */
export function countOutcomes(
  counts: ImportCounts,
  outcomes: readonly RowOutcome[],
  firstKept: number,
): void {
  counts.read += outcomes.length;
  for (const outcome of outcomes) {
    if ((outcome.kind === 'conflict' || outcome.kind === 'set_aside') && !outcome.isKnown)
      counts.newlyRejected++;
    if ('timesOf' in outcome && outcome.timesOf !== undefined) count(counts.keptTimes, outcome.timesOf, 1);
    if (outcome.kind === 'stored') {
      counts.stored++;
      if (outcome.iCdr < firstKept) counts.olderThanRetention++;
    } else if (outcome.kind === 'completed') counts.completed++;
    else if (outcome.kind === 'duplicate') counts.duplicates++;
    else if (outcome.kind === 'conflict') counts.conflicts++;
    else {
      counts.rejected++;
      count(counts.reasons, outcome.rejection.code, 1);
      const needed = NEEDS.exec(outcome.rejection.reason)?.[1];
      if (needed !== undefined) count(counts.needs, needed as ReadingOption, 1);
    }
  }
}

function count<Key>(figures: Map<Key, number>, key: Key, more: number): void {
  if (more !== 0) figures.set(key, (figures.get(key) ?? 0) + more);
}

function addFigures<Key>(
  total: Map<Key, number>,
  figures: ReadonlyMap<Key, number>,
  before: ReadonlyMap<Key, number>,
): void {
  for (const [key, figure] of figures) count(total, key, figure - (before.get(key) ?? 0));
}

/**
 * Adds the counts of another import of the same run.
 * @param before the part of its counts that is in the total already
 */
export function addCounts(total: ImportCounts, counts: ImportCounts, before = newCounts()): void {
  total.read += counts.read - before.read;
  total.stored += counts.stored - before.stored;
  total.completed += counts.completed - before.completed;
  total.duplicates += counts.duplicates - before.duplicates;
  total.conflicts += counts.conflicts - before.conflicts;
  total.rejected += counts.rejected - before.rejected;
  total.newlyRejected += counts.newlyRejected - before.newlyRejected;
  total.olderThanRetention += counts.olderThanRetention - before.olderThanRetention;
  for (const group of counts.alikeCodes) {
    if (!total.alikeCodes.some((known) => known.join() === group.join())) total.alikeCodes.push(group);
  }
  addFigures(total.reasons, counts.reasons, before.reasons);
  addFigures(total.keptTimes, counts.keptTimes, before.keptTimes);
  addFigures(total.needs, counts.needs, before.needs);
}
