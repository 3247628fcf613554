/**
 * The state of each switch, for people, Prometheus and the monitor: its last rows, its rate, its rejected rows, and its refused
 * posts. The activity of stored rows is noted with their batch (store/intake.ts). Refusals are counted here and written from
 * time to time, so that a caller without a key does not make the database write.
 */
import type { FastifyRequest } from 'fastify';
import { readCredentials } from '#platform/access/credentials.ts';
import { shownOfKey } from '#platform/access/key.ts';
import { type Pool, withSession } from '#platform/database/pool.ts';
import { clientOf } from '#platform/http/client_address.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { exportBy, Gauge, type Registry } from '#platform/telemetry/metrics.ts';
import type { SourceActivity } from './contract.ts';
import { silenceOf } from './follow/silence.ts';
import type { SourceReports } from './follow/source_report.ts';
import { addRefused, listSourceHours, type SourceHours } from './store/source_hours.ts';

/** How often the database is queried, and refusals are written to it. */
const REFRESH_MS = 5_000;
/** The source for posts without a source, or with one that was never used. The sender's name follows it. */
export const UNKNOWN_SOURCE = 'unknown';
const UNKNOWN_NAMED = `${UNKNOWN_SOURCE} (`;
/** The most senders that are named in an hour; others are unknown. The memory for strangers must be bounded. */
const MOST_NAMED = 20;
const NAMED_FOR_MS = 3_600_000;

export interface SourcesActive {
  readonly activities: readonly SourceActivity[];
  /** Counts a refused post. */
  refused(request: FastifyRequest): void;
  /** Resolves once the signal has come. */
  readonly done: Promise<void>;
}

export interface ActivityNeeds {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly followed: SourceReports;
}

/** The known facts now. */
export function activityOf(row: SourceHours, now: number): SourceActivity {
  const time = (stamp: string | null) => (stamp === null ? null : Date.parse(stamp));
  const { silentS, limitS } = silenceOf(
    { firstRowAt: time(row.first_at), lastRowAt: time(row.last_at), longestGapS: row.longest_gap_s },
    now,
  );
  return {
    source: row.source,
    last_at: row.last_at,
    last_file: row.last_file,
    last_call_at: row.last_call_at,
    lag_s: row.lag_s,
    rows_per_minute: row.rows_per_minute,
    set_aside_today: row.set_aside_today,
    refused_today: row.refused_today,
    silent_s: silentS,
    silence_limit_s: limitS,
  };
}

/** Keeps the facts about switches up to date until the signal. Never fails: after a failed query they stay as they were. */
export function watchSources(needs: ActivityNeeds, stopping: AbortSignal): SourcesActive {
  const { pool, clock } = needs;
  let rows: readonly SourceHours[] = [];
  const refusals = new Map<string, number>();
  const named = { since: clock.monotonic(), names: new Set<string>() };

  /** The source under which a post without a known source counts. */
  function strangerOf(request: FastifyRequest): string {
    const now = clock.monotonic();
    if (now - named.since > NAMED_FOR_MS) {
      named.since = now;
      named.names.clear();
    }
    const name = `${UNKNOWN_NAMED}${senderOf(request)})`;
    if (!named.names.has(name) && named.names.size >= MOST_NAMED) return UNKNOWN_SOURCE;
    named.names.add(name);
    return name;
  }

  async function refresh(): Promise<void> {
    await withSession(pool, async (session) => {
      const counted = [...refusals];
      if (counted.length > 0) {
        await session.run(
          addRefused(
            counted.map(([source]) => source),
            counted.map(([, count]) => count),
          ),
        );
        for (const [source, count] of counted) lower(source, count);
      }
      rows = await session.rows(listSourceHours());
    });
  }

  function lower(source: string, count: number): void {
    const left = refusals.get(source)! - count;
    if (left > 0) refusals.set(source, left);
    else refusals.delete(source);
  }

  async function run(): Promise<void> {
    while (!stopping.aborted) {
      await refresh().catch(() => undefined);
      await clock.sleep(REFRESH_MS, stopping).catch(() => undefined);
    }
    if (refusals.size > 0) await refresh().catch(() => undefined);
  }

  exportActivity(needs, () => rows);
  return {
    done: run(),
    get activities() {
      const now = clock.now();
      return rows.map((row) => activityOf(row, now));
    },
    refused(request) {
      if (request.method !== 'POST' || request.routeOptions.url !== '/cdrs') return;
      const { source: given } = request.query as { source?: unknown };
      const isKnown = typeof given === 'string' && rows.some(({ source }) => source === given);
      const source = isKnown ? given : strangerOf(request);
      refusals.set(source, (refusals.get(source) ?? 0) + 1);
    },
  };
}

/** The sender's identity for an operator: the key's number, or the beginning of an invalid key, and the address. */
function senderOf(request: FastifyRequest): string {
  const address = clientOf(request);
  const { caller } = request;
  if (caller)
    return `${caller.id.startsWith('key:') ? caller.id.replace(':', ' ') : caller.name}, ${address}`;
  const credentials = readCredentials(request.headers.authorization, true);
  return credentials.kind === 'key' ? `${shownOfKey(credentials.key)}…, ${address}` : address;
}

type Row = SourceHours & SourceActivity;

const isStranger = (source: string) => source === UNKNOWN_SOURCE || source.startsWith(UNKNOWN_NAMED);

/** Labels are bounded: store/source_hours.ts returns MOST_SOURCES at most. */
function exportActivity(
  { registry, clock, followed }: ActivityNeeds,
  rowsNow: () => readonly SourceHours[],
): void {
  const known = (): Row[] => {
    const now = clock.now();
    const rows = rowsNow().map((row) => ({ ...row, ...activityOf(row, now) }));
    // Every client that reaches the port can read the figures: of strangers they show the number only.
    const strangers = rows.filter(({ source }) => isStranger(source));
    const [first] = strangers;
    if (!first) return rows;
    const refused = strangers.reduce((sum, row) => sum + row.refused_recent, 0);
    return [
      ...rows.filter((row) => !isStranger(row.source)),
      { ...first, source: UNKNOWN_SOURCE, refused_recent: refused },
    ];
  };
  const gauge = exportBy<Row>(registry, {
    label: 'source',
    nameOf: ({ source }) => source,
    rowsNow: known,
  });
  // A followed file is watched by its own path.
  const unlessFollowed = (pick: (row: Row) => number | null) => (row: Row) =>
    row.is_followed || row.last_at === null ? null : pick(row);
  gauge(
    'source_rows_per_minute',
    'Rows of a switch a minute, over this hour and the one before; of a new switch since its first row',
    unlessFollowed((row) => row.rows_per_minute),
  );
  gauge(
    'source_lag_seconds',
    'The delay between the end of the last call and its report',
    unlessFollowed((row) => row.lag_s),
  );
  gauge(
    'source_set_aside_recent',
    'Rows rejected in this hour and the one before that still wait',
    (row) => row.set_aside_recent,
  );
  gauge(
    'source_refused_recent',
    'Posts refused in this hour and the one before',
    (row) => row.refused_recent,
  );
  const silence = (name: string, help: string, pick: 'silent_s' | 'silence_limit_s') =>
    new Gauge({
      name,
      help,
      labelNames: ['source'],
      registers: [registry],
      collect() {
        this.reset();
        for (const row of known())
          if (!row.is_followed && row[pick] !== null) this.set({ source: row.source }, row[pick]);
        for (const report of followed.reports)
          if (report[pick] !== null) this.set({ source: report.path }, report[pick]);
      },
    });
  silence(
    'source_silence_seconds',
    'Seconds since the last row of a switch, or of a followed file',
    'silent_s',
  );
  silence(
    'source_silence_limit_seconds',
    'The silence in seconds that raises an alert; missing in the first week',
    'silence_limit_s',
  );
}
