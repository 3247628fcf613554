/**
 * The state of each followed source, for people and for Prometheus. For the sources of this process the report uses the
 * process's own state, so it works while the database is down; for others' sources it uses their reports in the database.
 */

import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { exportBy, Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import { SOURCE_STATES, type SourceReport } from '../contract.ts';
import { listSources, type SourceRow } from '../store/followed.ts';
import type { SourceStatus } from './follow.ts';
import { holderWords, machineOf } from './machine.ts';
import { silenceOf } from './silence.ts';

/** How often the database is queried. */
const REFRESH_MS = 5_000;
/** How long a source is shown after its reader has left it. */
const LEFT_SHOWN_MS = 86_400_000;

export interface SourceReports {
  readonly reports: readonly SourceReport[];
}

export interface SourceReportNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  /** The sources of this process. */
  readonly own: () => readonly SourceStatus[];
}

/** Keeps the reports up to date until the signal. Never fails: after a failed query the reports stay as they were. */
export function reportSources(
  needs: SourceReportNeeds,
  stopping: AbortSignal,
): SourceReports & { done: Promise<void> } {
  const { pool, clock, own } = needs;
  let rows: readonly SourceRow[] = [];
  const machines = new Map<string, string>();

  async function refresh(): Promise<void> {
    for (const { path } of own()) if (!machines.has(path)) machines.set(path, await machineOf(path));
    rows = await withSession(pool, (session) => session.rows(listSources(clock.now())), {
      signal: stopping,
    });
  }

  async function run(): Promise<void> {
    while (!stopping.aborted) {
      await refresh().catch(() => undefined);
      await clock.sleep(REFRESH_MS, stopping).catch(() => undefined);
    }
  }

  return {
    done: run(),
    get reports() {
      const now = clock.now();
      const mine = new Map(own().map((status) => [`${machines.get(status.path)} ${status.path}`, status]));
      const told = rows
        .filter((row) => row.holder !== null || now - Date.parse(row.told_at) < LEFT_SHOWN_MS)
        .map((row) => {
          const status = mine.get(`${row.machine} ${row.path}`);
          mine.delete(`${row.machine} ${row.path}`);
          return reportOf(row, status?.isReader ? status : undefined, now);
        });
      return [...told, ...[...mine.values()].map(reportOfNew)];
    },
  };
}

function reportOf(row: SourceRow, own: SourceStatus | undefined, now: number): SourceReport {
  const { path, rows, holder, last_row_at: lastRowAt, longest_gap_s: longestGapS } = row;
  const isRead = own !== undefined || row.is_held;
  const bytesBehind = own?.bytesBehind ?? row.bytes_behind;
  const time = (stamp: string | null) => (stamp === null ? null : Date.parse(stamp));
  const heard = { firstRowAt: time(row.first_row_at), lastRowAt: time(lastRowAt), longestGapS };
  const { silentS, limitS } = silenceOf(heard, now);
  const died =
    holder === null
      ? ''
      : `${holderWords(holder)} has ended without leaving it, and no other process reads it`;
  return {
    path,
    state: isRead ? (own?.state ?? row.state) : holder === null ? 'left' : 'failing',
    detail: isRead ? (own?.detail ?? row.detail) : died,
    reader: isRead && holder !== null ? holderWords(holder) : null,
    bytes_behind: bytesBehind,
    rows,
    last_row_at: lastRowAt,
    silent_s: silentS !== null && bytesBehind > 0 ? 0 : silentS,
    silence_limit_s: isRead || holder !== null ? limitS : null,
  };
}

/** A source that the database does not know yet. */
const reportOfNew = ({ path, state, detail, bytesBehind }: SourceStatus): SourceReport => ({
  ...{ path, state, detail, reader: null, bytes_behind: bytesBehind, rows: 0 },
  ...{ last_row_at: null, silent_s: null, silence_limit_s: null },
});

/** The sources' figures for Prometheus. */
export function exportSources(registry: Registry, sources: SourceReports): void {
  const gauge = exportBy<SourceReport>(registry, {
    label: 'source',
    nameOf: ({ path }) => path,
    rowsNow: () => sources.reports,
  });
  gauge(
    'followed_source_bytes_behind',
    'Bytes of a followed source that are not stored',
    (r) => r.bytes_behind,
  );
  gauge('followed_source_rows', 'Rows of a followed source that were stored or rejected', (r) => r.rows);
  gauge('followed_source_silence_seconds', 'Seconds since the last row was written', (r) => r.silent_s);
  gauge(
    'followed_source_silence_limit_seconds',
    'The silence in seconds that raises an alert; missing in the first week',
    (r) => r.silence_limit_s,
  );
  new Gauge({
    name: 'followed_source_state',
    help: '1 for the present state of a followed source',
    labelNames: ['source', 'state'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { path, state } of sources.reports)
        for (const one of SOURCE_STATES) this.set({ source: path, state: one }, Number(one === state));
    },
  });
}
