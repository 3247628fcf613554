/** The back-ups of all services that the program makes by itself. */
import { listBackups } from '#platform/database/backup/backup_files.ts';
import {
  type BackupTimes,
  backupTimesText,
  startScheduledBackups,
} from '#platform/database/backup/scheduled.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import { version } from '#platform/lifecycle/version.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { type AnyService, backedUpOf, byDatabase } from './definition.ts';

export interface BackupsOptions {
  readonly services: readonly AnyService[];
  /** Where a service's tables are. */
  readonly urlOf: (service: string) => string;
  /** Undefined: none is made. */
  readonly times: BackupTimes | undefined;
  readonly folder: string | undefined;
  /** How many are left in the folder. */
  readonly keep: number;
  readonly secret: Buffer | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * @returns the times, in words; null: none is made
 * @throws Error where there is no folder, or several databases: one back-up is of one moment of one database
 */
export async function startBackups(
  { services, urlOf, times, folder, ...rest }: BackupsOptions,
  lifetime: Lifetime,
): Promise<{ readonly times: string | null }> {
  if (!times) return { times: null };
  if (!folder) throw new Error('BACKUP_AT: set BACKUP_DIR as well, the folder to write into');
  const [one, another] = byDatabase(services, urlOf);
  if (another)
    throw new Error(
      'BACKUP_AT: services stand on several databases; let cron run `trunkline backup --of SERVICE` for each',
    );
  await listBackups(folder);
  const needs = { url: one!.url, services: backedUpOf(services), folder, times, program: version };
  startScheduledBackups({ ...needs, ...rest }, lifetime);
  return { times: backupTimesText(times) };
}
