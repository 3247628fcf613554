/**
 * The loop: every 10 s read all parts, evaluate the rules, save the state, queue messages. Reads are concurrent and have
 * time limits, and deliveries run on their own. So neither a hanging part nor a hanging channel delays the next poll.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import { advanceAlerts, noteShortOutage, noteShortSilence } from './alerts.ts';
import { isUndecided } from './announce.ts';
import { type BackupReading, type BackupSource, backupSamples, readBackup } from './backup_reader.ts';
import { type BouncerReading, type BouncerSource, bouncerSamples, createBouncers } from './bouncer_reader.ts';
import type { Channel } from './channels/channel.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { createDiskReader, type DiskReading, type DiskSource, diskSamples } from './disk_reader.ts';
import { FORECAST_HISTORY, forecasts } from './disk_rules.ts';
import { createDoors, type DoorSource, type DoorsNeeds } from './doors.ts';
import { createMetricsParser } from './exposition.ts';
import { glance } from './glances.ts';
import { statsSamples } from './haproxy_csv.ts';
import { glanceAtHaproxy, type HaproxyReading, type HaproxySource, readHaproxy } from './haproxy_reader.ts';
import { createKeepers, KEEPER_SILENT_S, type KeepersNeeds, keeperSamples } from './keepers.ts';
import { withLeader } from './leaders.ts';
import { metricsOf } from './measure.ts';
import { type Draft, type Notice, noticeOfHappening, noticesOf } from './notice.ts';
import { compareViews, type HaproxyView } from './outages.ts';
import type { Rule } from './rule.ts';
import { REPLICAS_PROXY } from './rule_measures.ts';
import { RULES } from './rules.ts';
import { createHistory, type Labels, type Sample, sample } from './samples.ts';
import { createServerWatch, type ServerSource } from './server_watch.ts';
import { readService, type ServiceReading, type ServiceSource } from './service_reader.ts';
import { createStateFile, type MonitorState, readStateFile } from './state_file.ts';
import { changedAt } from './state_times.ts';
import { createSteadyTime, type SteadyTime } from './steady_time.ts';
import { createTopology } from './topology.ts';
import type { Topology } from './topology_parts.ts';
import { PICTURE_METRICS } from './topology_services.ts';

export const POLL_INTERVAL_MS = 10_000;
/** The interval while checks of a server differ ("UP 1/3"): its change is near, and is reported sooner. */
export const IN_DOUBT_POLL_MS = 1_000;
/** More than the longest window of a rule. */
const HISTORY_MS = 180_000;
export const HEARTBEAT_INTERVAL_MS = 86_400_000;

export interface MonitorNeeds {
  readonly haproxies: readonly HaproxySource[];
  readonly services: readonly ServiceSource[];
  readonly doors: readonly DoorSource[];
  readonly bouncers: readonly BouncerSource[];
  /** The keepers of the tier; undefined: none is known. */
  readonly keepers?: Pick<KeepersNeeds, 'sources' | 'readLease'> | undefined;
  /** A PostgreSQL alone on this machine; undefined: there is none. */
  readonly server?: ServerSource | undefined;
  readonly disks: readonly DiskSource[];
  /** The folder of back-ups; undefined: none is set. */
  readonly backup?: BackupSource | undefined;
  /** Tests a door; askThroughDoor in production. */
  readonly askDoor: DoorsNeeds['ask'];
  readonly channels: readonly Channel[];
  readonly stateFile: string;
  readonly pollIntervalMs: number;
  /** Whether to send a message once a day. */
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
  /** Figures of the monitor itself and its targets, for rules here and in Prometheus. */
  readonly samples: readonly Sample[];
  /** One poll; the loop in `run` calls it. */
  poll(): Promise<void>;
  /** Queues a notice and starts to save it. @returns ids of its deliveries */
  tell(draft: Draft): string[];
  /** Saves the state; never rejects. */
  save(): Promise<void>;
  /** Polls and delivers until the signal. */
  run(signal: AbortSignal): Promise<void>;
}

const BOUNCER_RULE = 'PgBouncerDown';
const POSTGRES_RULE = 'PostgresDown';
const HAPROXY_RULE = 'HaproxyDown';
const DOOR_RULE = 'DoorSilent';
/** The monitor polls more often while an alert with a `for` up to this time is pending. */
const SHORT_FOR_S = 10;

/** Reads the state file; nothing is polled or sent before `run`. */
export async function createMonitor(needs: MonitorNeeds): Promise<Monitor> {
  const { clock, logger, rules = RULES } = needs;
  const read = await readStateFile(needs.stateFile, clock.now());
  const { state } = read;
  const time = createSteadyTime(clock, read.savedAt);
  const file = createStateFile(needs.stateFile);
  const history = createHistory(HISTORY_MS, FORECAST_HISTORY);
  const tracker = createTopology();
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
  const diskReaders = needs.disks.map((source) => createDiskReader(source, clock));
  const isShort = new Set(rules.filter(({ forS }) => forS <= SHORT_FOR_S).map(({ name }) => name));
  const ruleNamed = (name: string) => rules.find((rule) => rule.name === name);
  /** The rule of an outage that was over before it was seen. */
  const ruleOfOutage = (proxy: string, server: string) =>
    proxy === REPLICAS_PROXY
      ? { rule: ruleNamed(POSTGRES_RULE), labels: { server } }
      : { rule: ruleNamed(BOUNCER_RULE), labels: { proxy, server } };
  /** Ends the wait for the next poll. */
  let wake = () => {};
  const pools = createBouncers(needs.bouncers, clock, () => wake());
  const onDoorChange = () => {
    // A test without an answer has waited for longer than a client should: the pools are read before the report, to find the cause.
    pools.look();
    wake();
  };
  const doors = createDoors({ sources: needs.doors, clock, ask: needs.askDoor, onChange: onDoorChange });
  const keepers = createKeepers({ sources: [], ...needs.keepers, clock, onChange: () => wake() });
  const server = createServerWatch(needs.server, clock, () => wake());
  let topology: Topology = { at: null, parts: [], edges: [] };
  let own: Sample[] = [];
  let saved = true;
  let inDoubt = false;

  const save = async () => {
    try {
      await file.save(state, time.now());
      saved = true;
    } catch (error) {
      if (saved) logger.error({ err: error }, 'the state file cannot be written; alerts are still sent');
      saved = false;
    }
  };
  const deliveries = createDeliveries({ ...needs, queue: state.deliveries, save });

  const queue = (draft: Draft): string[] => {
    state.notices++;
    const at = new Date(clock.now()).toISOString();
    // The time distinguishes it from a notice of the same number, if the state file was lost.
    const notice: Notice = { ...draft, id: `n${state.notices}-${time.now().toString(36)}`, at };
    return deliveries.add(notice);
  };

  if (read.aside) {
    const { file: where, why, isLater } = read.aside;
    const says = isLater ? 'the state file is of a later version' : 'the state file was damaged';
    logger.error({ file: where, why }, `${says}; starting with an empty state`);
    queue({
      kind: 'notice',
      severity: 'warning',
      title: 'Monitor Alert',
      message: `${says}: the monitor starts with an empty state`,
      details: [
        `It is kept as ${where} (${why}).`,
        'Messages that were not delivered before are lost, and parts that are DOWN are reported again.',
      ],
      keys: [],
      runbook: 'statefiledamaged',
    });
  }

  async function poll(): Promise<void> {
    const [haproxies, readings, disks, backup] = await Promise.all([
      Promise.all(needs.haproxies.map((source) => readHaproxy(source, clock))),
      Promise.all(services.map(({ source, parse }) => readService(source, parse, clock))),
      Promise.all(diskReaders.map((read) => read())),
      needs.backup && readBackup(needs.backup, clock),
    ]);
    judge(haproxies, readings, pools.readings(), disks, backup);
    await save();
  }

  function judge(
    haproxies: readonly HaproxyReading[],
    services: readonly ServiceReading[],
    bouncers: readonly BouncerReading[],
    disks: readonly DiskReading[],
    backup: BackupReading | undefined,
  ): void {
    const now = time.now();
    const views: HaproxyView[] = haproxies.flatMap(({ source, rows }) =>
      rows ? [{ haproxy: source.name, rows }] : [],
    );
    own = [
      ...ownSamples(haproxies, services),
      ...bouncers.flatMap(bouncerSamples),
      ...keeperSamples(keepers),
      ...disks.flatMap(diskSamples),
      ...(backup ? backupSamples(backup) : []),
    ];
    history.add(now, [
      ...own,
      ...views.flatMap(({ haproxy, rows }) => statsSamples(rows, haproxy)),
      ...services.flatMap(({ samples }) => samples),
    ]);
    const wasDown = new Set(
      Object.values(state.alerts.active)
        // An outage that ends before its alert fires is reported only as a short outage.
        .filter(({ state: now }) => now === 'firing')
        .filter(({ rule }) => rule === BOUNCER_RULE || rule === POSTGRES_RULE)
        .map(({ labels }) => `${labels.proxy ?? REPLICAS_PROXY}/${labels.server}`),
    );
    const drafts = compareViews(state.outages, views, now, wasDown).flatMap((happening) => {
      if (happening.kind === 'short_outage') {
        const { proxy, server, span, isAlerted } = happening;
        const { rule, labels } = ruleOfOutage(proxy, server);
        if (rule && !isAlerted && !noteShortOutage(state.alerts, rule, labels, now, span)) return [];
      }
      // The alert reports its recovery.
      if (happening.kind === 'haproxy_restarted' && isDown(HAPROXY_RULE, 'instance', happening.haproxy))
        return [];
      return [noticeOfHappening(happening)];
    });
    const restarts = server.takeOutages().flatMap((outage) => {
      const rule = ruleNamed(POSTGRES_RULE);
      const span = { from: now - outage.lastedMs, to: now };
      const isTold = !rule || noteShortOutage(state.alerts, rule, { server: outage.server }, now, span);
      return isTold ? [noticeOfHappening({ kind: 'server_restarted', ...outage })] : [];
    });
    const doorRule = ruleNamed(DOOR_RULE);
    for (const { door, lastedMs } of doors.takeOutages()) {
      // The alert itself reports the end of an outage.
      if (!doorRule || isDown(DOOR_RULE, 'door', door)) continue;
      noteShortSilence(state.alerts, doorRule, { door }, now, { from: now - lastedMs, to: now });
    }
    const answered = {
      haproxy: views.length > 0,
      services: new Set(services.filter(({ up }) => up).map(({ source }) => source.name)),
      changedAt: ({ timedBy }: Rule, labels: Labels, holds: boolean) =>
        timedBy && changedAt(timedBy, labels, holds, views, now),
    };
    const advanced = advanceAlerts(state.alerts, rules, history, answered);
    const { events, change } = withLeader(advanced, { rules, ...state }, views);
    inDoubt = isInDoubt(views);
    const kept = { keepers: keepers.readings(), lease: keepers.lease() };
    const parts = { haproxies, services, disks, backup, fullInS: forecasts(history), ...kept };
    topology = tracker.update({ ...parts, now, stamp: time.stamp });
    const changes = change ? [noticeOfHappening(change)] : [];
    for (const draft of [...drafts, ...restarts, ...noticesOf(events), ...changes, ...heartbeat(now)])
      queue(draft);
  }

  /** Whether a message is likely soon: then the monitor polls more often. */
  function isInDoubt(views: readonly HaproxyView[]): boolean {
    return (
      views.some(({ rows }) => rows.some(({ status }) => /^(?:UP|DOWN) \d+\/\d+$/.test(status))) ||
      doors.readings().some(({ silentS }) => silentS > 0) ||
      isUndecided(state.alerts) ||
      Object.values(state.alerts.active).some((one) => one.state === 'pending' && isShort.has(one.rule)) ||
      // Only until it is reported: nothing else depends on it.
      keepers.readings().some(({ silentS }) => silentS > 0 && silentS <= KEEPER_SILENT_S)
    );
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
      ...doors
        .readings()
        .map(({ door, silentS }) => sample('monitor_door_silent_seconds', { door }, silentS)),
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

  /** Ends the sleep between polls when a door falls silent or answers again, or a glance has seen a change. */
  function watchForChanges(): { sleep(ms: number, signal: AbortSignal): Promise<void> } {
    let woken = new AbortController();
    wake = () => woken.abort();
    return {
      sleep: async (ms, signal) => {
        // A change during a poll ends the sleep that follows it.
        await clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
        woken = new AbortController();
      },
    };
  }

  async function run(signal: AbortSignal): Promise<void> {
    const look = (source: HaproxySource) => glanceAtHaproxy(source, clock);
    const glances = { sources: needs.haproxies, clock, look, onChange: () => wake() };
    const others = Promise.all([
      deliveries.run(signal),
      doors.run(signal),
      pools.run(signal),
      keepers.run(signal),
      server.run(signal),
      glance(glances, signal),
    ]);
    const { sleep } = watchForChanges();
    while (!signal.aborted) {
      const begun = clock.monotonic();
      try {
        await poll();
      } catch (error) {
        logger.error({ err: error }, 'a poll failed');
      }
      const intervalMs = inDoubt ? Math.min(IN_DOUBT_POLL_MS, needs.pollIntervalMs) : needs.pollIntervalMs;
      const rest = Math.max(0, intervalMs - (clock.monotonic() - begun));
      await sleep(rest, signal);
    }
    await others;
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
