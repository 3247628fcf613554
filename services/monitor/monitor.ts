/**
 * The loop: every 10 s read all parts, judge, write down, tell. Reading is concurrent and limited, telling is the
 * deliveries' business, so neither a part that hangs nor a channel that hangs holds up the next poll.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { advanceAlerts, noteShortOutage } from './alerts.ts';
import type { Channel } from './channels/channel.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { createMetricsParser } from './exposition.ts';
import { statsSamples } from './haproxy_csv.ts';
import { type HaproxyReading, type HaproxySource, readHaproxy } from './haproxy_reader.ts';
import { metricsOf } from './measure.ts';
import { type Draft, type Notice, noticeOfHappening, noticesOf } from './notice.ts';
import { compareViews, type HaproxyView } from './outages.ts';
import { REPLICAS_PROXY } from './rule_measures.ts';
import { RULES, type Rule } from './rules.ts';
import { createHistory, type Sample, sample } from './samples.ts';
import { readService, type ServiceReading, type ServiceSource } from './service_reader.ts';
import { createStateFile, type MonitorState, readStateFile } from './state_file.ts';
import { createSteadyTime, type SteadyTime } from './steady_time.ts';
import { createTopology, type Topology } from './topology.ts';
import { PICTURE_METRICS } from './topology_services.ts';

export const POLL_INTERVAL_MS = 10_000;
/** While checks of a server differ ("UP 1/3"): its change is near, and told the sooner. */
export const IN_DOUBT_POLL_MS = 1_000;
/** The longest window of a rule, and some. */
const HISTORY_MS = 180_000;
export const HEARTBEAT_INTERVAL_MS = 86_400_000;

export interface MonitorNeeds {
  readonly haproxies: readonly HaproxySource[];
  readonly services: readonly ServiceSource[];
  readonly channels: readonly Channel[];
  readonly stateFile: string;
  readonly pollIntervalMs: number;
  /** Whether to say once a day that all is watched. */
  readonly heartbeat: boolean;
  readonly rules?: readonly Rule[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface Monitor {
  readonly state: MonitorState;
  readonly time: SteadyTime;
  readonly topology: Topology;
  readonly deliveries: Deliveries;
  /** What the monitor knows of itself and its targets, for rules here and in Prometheus. */
  readonly samples: readonly Sample[];
  /** One poll; the loop makes them. */
  poll(): Promise<void>;
  /** Queues a notice and begins to write it down. @returns ids of its deliveries */
  tell(draft: Draft): string[];
  /** Writes the state down; never rejects. */
  save(): Promise<void>;
  /** Polls and delivers until the signal. */
  run(signal: AbortSignal): Promise<void>;
}

const BOUNCER_RULE = 'PgBouncerDown';
const POSTGRES_RULE = 'PostgresDown';
const HAPROXY_RULE = 'HaproxyDown';

/** Reads the state file; nothing is polled or sent before `run`. */
export async function createMonitor(needs: MonitorNeeds): Promise<Monitor> {
  const { clock, logger, rules = RULES } = needs;
  const read = await readStateFile(needs.stateFile, clock.now());
  const { state } = read;
  const time = createSteadyTime(clock, read.savedAt);
  const file = createStateFile(needs.stateFile);
  const history = createHistory(HISTORY_MS);
  const keeper = createTopology();
  const wanted = new Set([
    ...rules.flatMap((rule) => [
      ...metricsOf(rule.measure),
      ...(rule.and ? metricsOf(rule.and.measure) : []),
    ]),
    ...PICTURE_METRICS,
  ]);
  const services = needs.services.map((source) => {
    return { source, parse: createMetricsParser(wanted, { service: source.name }) };
  });
  const ruleNamed = (name: string) => rules.find((rule) => rule.name === name);
  /** Under which rule an outage counts that was over before it was seen. */
  const ruleOfOutage = (proxy: string, server: string) =>
    proxy === REPLICAS_PROXY
      ? { rule: ruleNamed(POSTGRES_RULE), labels: { server } }
      : { rule: ruleNamed(BOUNCER_RULE), labels: { proxy, server } };
  let topology: Topology = { at: null, parts: [], edges: [] };
  let own: Sample[] = [];
  let saved = true;
  let inDoubt = false;

  const save = async () => {
    try {
      await file.save(state, time.now());
      saved = true;
    } catch (error) {
      if (saved) logger.error({ err: error }, 'the state file cannot be written; alerts go out all the same');
      saved = false;
    }
  };
  const deliveries = createDeliveries({ ...needs, queue: state.deliveries, save });

  const queue = (draft: Draft): string[] => {
    state.notices++;
    const at = new Date(clock.now()).toISOString();
    // The time makes it differ from a notice of the same number, should the state file have been lost.
    const notice: Notice = { ...draft, id: `n${state.notices}-${time.now().toString(36)}`, at };
    return deliveries.add(notice);
  };

  if (read.damaged) {
    const { file: where, why } = read.damaged;
    logger.error({ file: where, why }, 'the state file was damaged; begun anew');
    queue({
      kind: 'notice',
      severity: 'warning',
      title: 'Monitor Alert',
      message: 'the state file was damaged: begun anew',
      details: [
        `It is kept as ${where} (${why}).`,
        'What had not been delivered before is lost, and what is DOWN now is told again.',
      ],
      keys: [],
      runbook: 'statefiledamaged',
    });
  }

  async function poll(): Promise<void> {
    const [haproxies, readings] = await Promise.all([
      Promise.all(needs.haproxies.map((source) => readHaproxy(source, clock))),
      Promise.all(services.map(({ source, parse }) => readService(source, parse, clock))),
    ]);
    judge(haproxies, readings);
    await save();
  }

  function judge(haproxies: readonly HaproxyReading[], services: readonly ServiceReading[]): void {
    const now = time.now();
    const views: HaproxyView[] = haproxies.flatMap(({ source, rows }) =>
      rows ? [{ haproxy: source.name, rows }] : [],
    );
    inDoubt = views.some(({ rows }) => rows.some(({ status }) => /^(?:UP|DOWN) \d+\/\d+$/.test(status)));
    own = ownSamples(haproxies, services);
    history.add(now, [
      ...own,
      ...views.flatMap(({ haproxy, rows }) => statsSamples(rows, haproxy)),
      ...services.flatMap(({ samples }) => samples),
    ]);
    const wasDown = new Set(
      Object.values(state.alerts.active)
        .filter(({ rule }) => rule === BOUNCER_RULE || rule === POSTGRES_RULE)
        .map(({ labels }) => `${labels.proxy ?? REPLICAS_PROXY}/${labels.server}`),
    );
    const drafts = compareViews(state.outages, views, now, wasDown).flatMap((happening) => {
      if (happening.kind === 'short_outage') {
        const { proxy, server, seconds } = happening;
        const { rule, labels } = ruleOfOutage(proxy, server);
        if (rule && !noteShortOutage(state.alerts, rule, labels, now, seconds * 1_000)) return [];
      }
      // Its recovery is told by the alert.
      if (happening.kind === 'haproxy_restarted' && isDown(HAPROXY_RULE, 'instance', happening.haproxy))
        return [];
      return [noticeOfHappening(happening)];
    });
    const answered = {
      haproxy: views.length > 0,
      services: new Set(services.filter(({ up }) => up).map(({ source }) => source.name)),
    };
    const events = advanceAlerts(state.alerts, rules, history, answered);
    topology = keeper.update({ haproxies, services, now, stamp: time.stamp });
    for (const draft of [...drafts, ...noticesOf(events), ...heartbeat(now)]) queue(draft);
  }

  const isDown = (rule: string, label: string, value: string): boolean =>
    Object.values(state.alerts.active).some((alert) => alert.rule === rule && alert.labels[label] === value);

  function ownSamples(haproxies: readonly HaproxyReading[], services: readonly ServiceReading[]): Sample[] {
    return [
      ...haproxies.flatMap(({ source, rows, pageAnswered }) => [
        sample('up', { job: 'haproxy', instance: source.name }, Number(rows !== undefined)),
        sample('monitor_haproxy_page_up', { instance: source.name }, Number(pageAnswered)),
      ]),
      ...services.flatMap(({ source, up, ready }) => [
        sample('up', { job: 'trunkline', service: source.name }, Number(up)),
        sample('monitor_service_ready', { service: source.name }, Number(ready)),
      ]),
      ...[...deliveries.failures].map(([channel, failures]) =>
        sample('monitor_channel_failures', { channel }, failures),
      ),
      sample('monitor_state_saved', { service: 'monitor' }, Number(saved)),
    ];
  }

  function heartbeat(now: number): Draft[] {
    if (!needs.heartbeat || now - (state.heartbeatAt ?? 0) < HEARTBEAT_INTERVAL_MS) return [];
    state.heartbeatAt = now;
    const up = topology.parts.filter((part) => part.state === 'UP').length;
    const active = Object.values(state.alerts.active).filter((alert) => alert.state === 'firing');
    return [
      {
        kind: 'heartbeat',
        severity: 'info',
        title: 'Trunkline Monitor',
        message: `watching: ${up} of ${topology.parts.length} parts are UP, ${active.length} alerts are active`,
        details: active.map((alert) => alert.message),
        keys: [],
        runbook: 'heartbeat',
      },
    ];
  }

  async function run(signal: AbortSignal): Promise<void> {
    const sending = deliveries.run(signal);
    while (!signal.aborted) {
      const begun = clock.monotonic();
      try {
        await poll();
      } catch (error) {
        logger.error({ err: error }, 'a poll failed');
      }
      const intervalMs = inDoubt ? Math.min(IN_DOUBT_POLL_MS, needs.pollIntervalMs) : needs.pollIntervalMs;
      const rest = Math.max(0, intervalMs - (clock.monotonic() - begun));
      await clock.sleep(rest, signal).catch(() => undefined);
    }
    await sending;
    await save();
  }

  return {
    state,
    time,
    deliveries,
    get topology() {
      return topology;
    },
    get samples() {
      return own;
    },
    poll,
    tell: (draft) => {
      const ids = queue(draft);
      void save();
      return ids;
    },
    save,
    run,
  };
}
