/** Reads the age of the newest back-up from the folder of back-ups. */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';
import { type Sample, sample } from './samples.ts';
import type { Seen } from './topology_parts.ts';

/** A folder of a network file system may hang. */
const BACKUP_TIMEOUT_MS = 3_000;

export interface BackupSource {
  readonly folder: string;
  /** The age that raises an alert. */
  readonly maxAgeS: number;
  /** The schedule of automatic back-ups, in words; undefined: another program makes them. */
  readonly times?: string | undefined;
  /** The time of the newest back-up, wall-clock milliseconds since 1970; undefined: there is none. Rejects if it can't be read. */
  readonly newest: () => Promise<number | undefined>;
}

export interface BackupReading {
  readonly source: BackupSource;
  /** undefined: no back-up is known. */
  readonly ageS: number | undefined;
  /** The reason why none is known, '' otherwise. */
  readonly fault: string;
}

/** Never rejects. */
export async function readBackup(source: BackupSource, clock: Clock): Promise<BackupReading> {
  try {
    const at = await within(clock, BACKUP_TIMEOUT_MS, 'reading the folder of back-ups', source.newest);
    if (at === undefined) return { source, ageS: undefined, fault: 'there is none' };
    return { source, ageS: Math.max(0, (clock.now() - at) / 1_000), fault: '' };
  } catch (error) {
    return { source, ageS: undefined, fault: (error as Error).message };
  }
}

/** The samples of the rules. */
export const backupSamples = ({ source, ageS }: BackupReading): Sample[] => {
  const labels = { folder: source.folder };
  return [
    sample('monitor_backup_known', labels, Number(ageS !== undefined)),
    sample('monitor_backup_age_limit_seconds', labels, source.maxAgeS),
    ...(ageS === undefined ? [] : [sample('monitor_backup_age_seconds', labels, ageS)]),
  ];
};

/** The back-ups' part of the topology. */
export function backupPart({ source, ageS, fault }: BackupReading): Seen {
  const part = { id: 'backup', name: 'backup', role: 'backup', connections: null } as const;
  const made = source.times === undefined ? '' : `; made ${source.times}`;
  if (ageS === undefined)
    return {
      ...part,
      state: 'NOT_READY',
      detail: `no back-up is known in ${source.folder}: ${fault}${made}`,
    };
  const isOld = ageS > source.maxAgeS;
  const limit = isOld ? `; it may be ${inWords(source.maxAgeS)} (BACKUP_MAX_AGE_H)` : '';
  return {
    ...part,
    state: isOld ? 'NOT_READY' : 'UP',
    detail: `the newest in ${source.folder} is ${inWords(ageS)} old${limit}${made}`,
  };
}

function inWords(seconds: number): string {
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}
