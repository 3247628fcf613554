/** HAProxy's statistics as CSV (management guide, 9.1), and as the samples of its own Prometheus exporter. */
import { type Sample, sample } from './samples.ts';

/** A server, or the sums of a proxy (server FRONTEND or BACKEND), as one HAProxy process sees it. */
export interface StatsRow {
  readonly proxy: string;
  readonly server: string;
  /** In HAProxy's words: UP, DOWN, MAINT, "UP 1/3" (about to fall), "no check"; OPEN for a frontend. */
  readonly status: string;
  readonly sessions: number;
  /** Sessions allowed; null: no limit of its own. */
  readonly limit: number | null;
  /** Sessions since the process began. */
  readonly sessionsTotal: number;
  /** New sessions in the last second. */
  readonly sessionRate: number;
  /** Connects and answers that failed, since the process began. */
  readonly errors: number;
  readonly retries: number;
  readonly redispatches: number;
  /** Times that it was marked DOWN. */
  readonly timesDown: number;
  /** Seconds since its state last changed. */
  readonly lastChangeS: number;
  /** Seconds that it was DOWN, all outages together. */
  readonly downtimeS: number;
  /** L4OK, L7TOUT …; '' before the first check. */
  readonly check: string;
  /** The result of the last check, in words. */
  readonly checkWords: string;
}

/** A page that is not the statistics; the message quotes its beginning. */
export class NotStatisticsError extends Error {
  override name = 'NotStatisticsError';
}

const QUOTED_CHARACTERS = 60;

/** @throws NotStatisticsError when the text does not begin with the statistics' head line, or breaks off in a line */
export function parseStats(csv: string): StatsRow[] {
  const lines = csv.split('\n');
  const head = lines[0] ?? '';
  if (!head.startsWith('# pxname,svname,')) {
    throw new NotStatisticsError(
      `not HAProxy's statistics: ${JSON.stringify(head.slice(0, QUOTED_CHARACTERS))}`,
    );
  }
  const columns = head.slice(2).split(',');
  const place = Object.fromEntries(columns.map((name, index) => [name, index]));
  return lines.slice(1).flatMap((line) => {
    if (line.trim() === '') return [];
    const fields = splitLine(line);
    if (fields.length < columns.length - 1)
      throw new NotStatisticsError('the statistics break off in a line');
    return [rowOf((name) => fields[place[name] ?? -1] ?? '')];
  });
}

function rowOf(field: (name: string) => string): StatsRow {
  const number = (name: string) => Number(field(name) || 0);
  return {
    proxy: field('pxname'),
    server: field('svname'),
    status: field('status'),
    sessions: number('scur'),
    limit: field('slim') === '' ? null : number('slim'),
    sessionsTotal: number('stot'),
    sessionRate: number('rate'),
    errors: number('econ') + number('eresp'),
    retries: number('wretr'),
    redispatches: number('wredis'),
    timesDown: number('chkdown'),
    lastChangeS: number('lastchg'),
    downtimeS: number('downtime'),
    check: field('check_status').replace(/^\* /, ''),
    checkWords: [field('check_desc'), field('last_chk')].filter(Boolean).join(': '),
  };
}

/** Texts that hold a comma or a quote are quoted, with quotes doubled. */
function splitLine(line: string): string[] {
  if (!line.includes('"')) return line.split(',');
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
}

export const isServer = (row: StatsRow): boolean => row.server !== 'FRONTEND' && row.server !== 'BACKEND';

/** UP, DOWN, MAINT or DRAIN; undefined while it is not known: HAProxy calls a server UP before its first check. */
export function stateOf(row: StatsRow): 'UP' | 'DOWN' | 'MAINT' | 'DRAIN' | undefined {
  if (row.status === 'no check') return 'UP';
  if (row.status.startsWith('MAINT')) return 'MAINT';
  if (row.status.startsWith('DRAIN')) return 'DRAIN';
  if (row.status.startsWith('DOWN')) return 'DOWN';
  return row.check === '' || row.check === 'INI' ? undefined : 'UP';
}

const STATES = ['UP', 'DOWN', 'MAINT', 'DRAIN'] as const;

/**
 * The rows under the names of HAProxy's exporter, so that one rule serves here and in Prometheus.
 * @param instance the HAProxy process
 */
export function statsSamples(rows: readonly StatsRow[], instance: string): Sample[] {
  return rows.flatMap((row) => {
    if (row.server === 'FRONTEND') {
      const labels = { instance, proxy: row.proxy };
      return [
        sample('haproxy_frontend_current_sessions', labels, row.sessions),
        sample('haproxy_frontend_limit_sessions', labels, row.limit ?? Number.NaN),
      ];
    }
    if (row.server === 'BACKEND') return [];
    const labels = { instance, proxy: row.proxy, server: row.server };
    const state = stateOf(row);
    return [
      ...STATES.map((name) =>
        sample(
          'haproxy_server_status',
          { ...labels, state: name },
          state === undefined ? Number.NaN : Number(state === name),
        ),
      ),
      sample('haproxy_server_current_sessions', labels, row.sessions),
      sample('haproxy_server_retry_warnings_total', labels, row.retries),
      sample('haproxy_server_redispatch_warnings_total', labels, row.redispatches),
    ];
  });
}
