/** The calls service's settings, beside those of every service. */
import { asPattern, asTimeZone, asWhole } from '#platform/config/readers.ts';
import { Faults, setting, type ValuesOf } from '#platform/config/settings.ts';
import type { DatabaseSettings } from '#platform/service/tools.ts';
import { readSources, SourcesError } from './follow/sources.ts';

/** The followed sources. Each fault is reported separately. */
function asSources(text: string) {
  try {
    return readSources(text);
  } catch (error) {
    throw error instanceof SourcesError ? new Faults(error.faults) : error;
  }
}

const asMegabytes = (text: string): number => asWhole(1, 1_024)(text) * 1_000_000;

export const CALLS_SETTINGS = {
  bodyLimitBytes: setting('32', 'Largest body of a request, in megabytes', asMegabytes, {
    env: 'BODY_LIMIT_MB',
  }),
  retentionMonths: setting(
    '0',
    'Whole months of calls to keep beside the current one; 0: all',
    asWhole(0, 1_200),
    { env: 'CDR_RETENTION_MONTHS' },
  ),
  importTimeZone: setting(
    'UTC',
    'Time zone of stamps without a zone, where --time-zone is not given',
    asTimeZone,
    { env: 'IMPORT_TIME_ZONE' },
  ),
  defaultCurrency: setting(
    'EUR',
    'Currency of accounts that an import creates',
    asPattern(/^[A-Z]{3}$/, 'a code of ISO 4217, such as EUR'),
    { env: 'DEFAULT_CURRENCY' },
  ),
  sources: setting(
    '',
    'Followed files and folders, a JSON array of `{"path", "time_zone", …}`; the RUNBOOK has its keys',
    asSources,
  ),
  diskPausePercent: setting('95', 'Disk use from which files wait, in %; 100: never', asWhole(50, 100), {
    env: 'DISK_PAUSE_PERCENT',
  }),
} as const;

export type CallsSettings = DatabaseSettings & ValuesOf<typeof CALLS_SETTINGS>;
