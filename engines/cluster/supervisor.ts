/**
 * Keeps the parts of a tier running: starts each as a process group of its own with its output in a log file, and
 * restarts parts that ended, soon at first, then after ever longer delays.
 */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { asUser, type EngineUser, identify, isAlive, type ProcessIdentity } from '#engines/processes.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { rotateLog } from './logs.ts';
import type { Part } from './parts.ts';
import { endGroup, endPostgres, familyOf, groupMembers, postmasterOf, signal } from './processes.ts';
import type { SpaceEvent } from './space_supervisor.ts';

const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 15_000;
/** A part that ran this long is healthy: its next restart counts as the first again. */
const WELL_AFTER_MS = 30_000;
const LOG_CHECK_MS = 600_000;
/** How often the holders of parts are checked. */
const HOLDER_CHECK_MS = 1_000;
const POSTGRES_STOP_MS = 10_000;

export interface PartEvent {
  readonly part: string;
  readonly what:
    | 'started'
    | 'ended'
    | 'restarting'
    | 'hung'
    | 'released'
    | 'log kept'
    | 'clients cut'
    | 'clients not watched'
    | SpaceEvent;
  /** In words: exit code or signal, delay. */
  readonly detail: string;
}

export interface RunningPart {
  readonly process: ProcessIdentity | undefined;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly restarts: number;
  readonly held: boolean;
}

export interface Supervisor {
  /** Starts a part that was not started yet. */
  start(name: string): void;
  /**
   * From now on a part that ends stays down, until `release`. Drills use it: they end parts on purpose.
   * @param holder when this process ends, the hold ends too, and the part's frozen processes are woken
   */
  hold(name: string, holder?: ProcessIdentity): void;
  /** Ends the hold, and starts the part if it is down. */
  release(name: string): void;
  /**
   * Stops a part normally, and keeps it down until `release`.
   * @throws Error when a drill holds it
   */
  end(name: string): Promise<void>;
  /** Kills a hanging part with all its processes; it is restarted like any part that ends. */
  kill(name: string): void;
  parts(): ReadonlyMap<string, RunningPart>;
  /** Stops all, last started first. */
  stop(): Promise<void>;
}

export interface SupervisorOptions {
  readonly parts: readonly Part[];
  readonly user: EngineUser | undefined;
  readonly logs: string;
  readonly clock: Clock;
  /** Called for every start and end, after `parts()` shows it. */
  readonly report: (event: PartEvent) => void;
}

interface Entry {
  readonly part: Part;
  process: ProcessIdentity | undefined;
  /** Wall-clock milliseconds since 1970, for showing; and monotonic. */
  since: number;
  startedAt: number;
  restarts: number;
  failures: number;
  held: boolean;
  holder: ProcessIdentity | undefined;
  wanted: boolean;
  cancelRestart: () => void;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, report } = options;
  const entries = new Map<string, Entry>();
  let stopping = false;

  const entryOf = (name: string): Entry => {
    const entry = entries.get(name);
    if (!entry) throw new Error(`no part is called "${name}"; there are: ${[...entries.keys()].join(', ')}`);
    return entry;
  };

  for (const part of options.parts) {
    entries.set(part.name, {
      part,
      process: undefined,
      since: 0,
      startedAt: 0,
      restarts: 0,
      failures: 0,
      held: false,
      holder: undefined,
      wanted: false,
      cancelRestart: () => {},
    });
  }

  function launch(entry: Entry): void {
    const { part } = entry;
    const [command, args] = asUser(options.user, part.command, part.args, part.kind === 'broker');
    const log = openSync(join(options.logs, `${part.name}.log`), 'a', 0o640);
    const child = spawn(command, args, {
      cwd: options.logs,
      detached: true,
      stdio: ['ignore', log, log],
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        LANG: 'C.UTF-8',
        HOME: options.logs,
        ...part.environment,
      },
    });
    closeSync(log);
    entry.since = clock.now();
    entry.startedAt = clock.monotonic();
    entry.process = child.pid === undefined ? undefined : identify(child.pid);
    child.once('error', (error) => ended(entry, error.message));
    child.once('exit', (code, name) => ended(entry, name ? `signal ${name}` : `exit code ${code}`));
    if (entry.process) report({ part: part.name, what: 'started', detail: `pid ${child.pid}` });
  }

  function ended(entry: Entry, detail: string): void {
    const ranMs = clock.monotonic() - entry.startedAt;
    entry.process = undefined;
    entry.failures = ranMs > WELL_AFTER_MS ? 1 : entry.failures + 1;
    report({ part: entry.part.name, what: 'ended', detail });
    if (!stopping && !entry.held && entry.wanted) restartLater(entry);
  }

  function restartLater(entry: Entry): void {
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (entry.failures - 1));
    report({ part: entry.part.name, what: 'restarting', detail: `in ${delayMs} ms` });
    entry.cancelRestart = clock.after(delayMs, () => {
      if (stopping || entry.held || entry.process) return;
      entry.restarts += 1;
      launch(entry);
    });
  }

  async function stopPart(entry: Entry): Promise<void> {
    const { part, process } = entry;
    if (process) await endGroup(process, part.stopSignal, part.stopLimitMs);
    if (part.postgres) await endPostgres(part.postgres, POSTGRES_STOP_MS);
  }

  function release(name: string): void {
    const entry = entryOf(name);
    entry.held = false;
    entry.holder = undefined;
    entry.failures = 0;
    if (entry.wanted && !entry.process && !stopping) {
      entry.restarts += 1;
      launch(entry);
    }
  }

  /** A killed drill can't undo its faults. */
  function releaseOrphans(): void {
    for (const [name, { part, process, holder }] of entries) {
      if (!holder || isAlive(holder)) continue;
      report({ part: name, what: 'released', detail: `process ${holder.pid}, which held it, is gone` });
      const postmaster = part.postgres === undefined ? undefined : postmasterOf(part.postgres);
      const frozen = [process?.pid, postmaster?.pid].flatMap((pid) => (pid ? familyOf(pid) : []));
      for (const pid of frozen) signal(pid, 'SIGCONT');
      release(name);
    }
  }

  const rotateLogs = () => {
    for (const { name } of options.parts)
      rotateLog(join(options.logs, `${name}.log`)).catch((error: Error) =>
        report({ part: name, what: 'log kept', detail: `it could not be rotated: ${error.message}` }),
      );
  };
  const watches = [setInterval(rotateLogs, LOG_CHECK_MS), setInterval(releaseOrphans, HOLDER_CHECK_MS)];
  for (const watch of watches) watch.unref();

  return {
    start: (name) => {
      const entry = entryOf(name);
      entry.wanted = true;
      if (!entry.process) launch(entry);
    },
    hold: (name, holder) => {
      const entry = entryOf(name);
      entry.held = true;
      entry.holder = holder;
      entry.cancelRestart();
    },
    release,
    end: async (name) => {
      const entry = entryOf(name);
      if (entry.held) throw new Error(`${name} is held by a drill`);
      entry.held = true;
      entry.cancelRestart();
      await stopPart(entry);
    },
    kill: (name) => {
      const { process } = entryOf(name);
      if (process) for (const pid of groupMembers(process.pid)) signal(pid, 'SIGKILL');
    },
    parts: () => entries,
    stop: async () => {
      stopping = true;
      for (const watch of watches) clearInterval(watch);
      const reversed = [...entries.values()].reverse();
      for (const entry of reversed) entry.cancelRestart();
      for (const step of stopSteps(reversed.map((entry) => entry.part))) {
        await Promise.all(step.map((part) => stopPart(entryOf(part.name))));
      }
    },
  };
}

/**
 * Doors and RabbitMQ first, then the nodes, then etcd; the parts of one step stop together. The primary stops after the replicas:
 * otherwise one of them would be promoted for the last seconds.
 */
function stopSteps(parts: readonly Part[]): Part[][] {
  const of = (kind: Part['kind']) => parts.filter((part) => part.kind === kind);
  const isReplica = (part: Part) => existsSync(join(part.postgres ?? '', 'standby.signal'));
  const nodes = of('node');
  return [
    [...of('haproxy'), ...of('broker')],
    of('bouncer'),
    nodes.filter(isReplica),
    nodes.filter((node) => !isReplica(node)),
    of('etcd'),
  ];
}
