/**
 * The whole PostgreSQL tier on this machine: HAProxy, PgBouncers, PostgreSQL under Patroni, etcd, as supervised child
 * processes. `startCluster` is the entry point for tests, drills and `trunkline up --cluster`.
 */
import { readFileSync } from 'node:fs';
import { rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { endEpmd } from '#engines/broker_node.ts';
import { engineUser, identify, isAlive } from '#engines/processes.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { makeOwnFolder } from '#platform/lifecycle/own_files.ts';
import { controlSocket, openControl } from './control.ts';
import { endLeftovers } from './ending.ts';
import { takeFolderLock } from './folder_lock.ts';
import {
  beginAnew,
  makeFolders,
  refuseForeignFolders,
  refuseOtherThings,
  refuseTakenPorts,
  unfinishedFile,
  writeConfiguration,
} from './folders.ts';
import { type Layout, localLayout } from './layout.ts';
import { CLIENTS_DEFAULT, HAPROXIES_DEFAULT, limitsFault, openFilesLimit } from './limits.ts';
import { partsOf } from './parts.ts';
import { findPrograms, requireRabbitmq } from './programs.ts';
import { ask } from './questions.ts';
import { applySynchronous, waitForEtcd, waitUntilServing } from './readiness.ts';
import { readOrMakeSecrets, type Secrets } from './secrets.ts';
import { type SlowClientOptions, watchSlowClients } from './slow_clients.ts';
import { watchSpace } from './space_watch.ts';
import { readState, removeState, type TierSettings, type TierState, writeState } from './state.ts';
import { createSupervisor, type PartEvent, type Supervisor } from './supervisor.ts';
import { type Tier, tierOf, writeDatabaseEnvironment } from './tier.ts';
import { type WatchedPart, watchParts } from './watchdog.ts';

export interface ClusterOptions {
  /** Folder of the tier; made if missing. An existing tier goes on with its data. */
  readonly data: string;
  /** The tier takes the ports from here on; by default the well-known ports. */
  readonly portBase?: number | undefined;
  /** HAProxy processes; two by default, so that clients keep a door when one process is lost. */
  readonly haproxies?: number | undefined;
  /** Clients that the tier must hold; refused where the machine's limits are too low. */
  readonly clients?: number | undefined;
  /** Whether three nodes of RabbitMQ belong to the tier; by default not. */
  readonly rabbitmq?: boolean | undefined;
  /** Synchronous replication; undefined: unchanged (off in a new tier). */
  readonly synchronous?: boolean | undefined;
  readonly clock?: Clock | undefined;
  /** Interrupts the start: the started parts are stopped, and the start rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called for parts that start and end. */
  readonly report?: ((event: PartEvent) => void) | undefined;
}

export interface Cluster extends Tier {
  /** Stops all parts in order, and leaves no process running. The data stays. */
  stop(): Promise<void>;
}

/** A part that ended this often while the tier starts counts as broken. */
const START_TRIES = 4;
const LOG_TAIL_LINES = 5;

/**
 * Starts the tier in a data folder and waits until it serves writes and reads with both replicas attached.
 * @throws Error with advice, when programs are missing, ports are taken, the machine's limits are too low, a tier runs
 *   there already, or the tier does not come up in time; no process is left running then
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const clock = options.clock ?? systemClock;
  const data = resolve(options.data);
  const settings: TierSettings = {
    portBase: options.portBase ?? null,
    haproxies: options.haproxies ?? HAPROXIES_DEFAULT,
    clients: options.clients ?? CLIENTS_DEFAULT,
    rabbitmq: options.rabbitmq ?? false,
  };
  const programs = findPrograms();
  if (settings.rabbitmq) requireRabbitmq();
  const { haproxies, rabbitmq } = settings;
  const layout = localLayout({ data, portBase: options.portBase, haproxies, rabbitmq });
  const openFiles = openFilesLimit();
  const fault = limitsFault(openFiles, settings.haproxies, settings.clients);
  if (fault) throw new Error(`${fault.says}: ${fault.advice}`);

  await refuseRunning(data);
  await refuseOtherThings(data);
  const user = engineUser();
  await refuseForeignFolders(layout, user);
  await makeOwnFolder(data);
  const unlock = await takeFolderLock(data, 'supervisor');
  if (!unlock) throw new Error(`another tier starts in ${data} just now`);
  // Under the lock a tier that has just started is seen, and no other process takes over a killed supervisor's parts.
  const before = await refuseRunning(data).catch((error: Error) => {
    unlock();
    throw error;
  });
  // The state includes the parts of a killed supervisor, so that the next command finds them if this start is interrupted, too.
  const parts = before?.parts ?? {};
  writeState(data, { supervisor: identify(process.pid)!, settings, ready: false, parts });
  let secrets: Secrets;
  try {
    // Both under the lock: of two tiers that start at once, one would end the parts that the other has just started, and each
    // would find ports taken on which the other listens for a moment.
    await endLeftovers(data, before);
    await refuseTakenPorts(layout);
    await beginAnew(layout);
    // Then the secrets: they mark the folder as a tier's, also when this start is interrupted.
    secrets = await readOrMakeSecrets(data);
    await makeFolders(layout, user);
    await writeConfiguration(layout, secrets, programs, options.synchronous ?? false, user, openFiles);
  } catch (error) {
    await removeState(data);
    unlock();
    // The folder is removed if this start made it.
    await rmdir(data).catch(() => undefined);
    throw error;
  }

  let phase: 'starting' | 'ready' | 'stopped' = 'starting';
  const saveState = () => {
    if (phase === 'stopped') return;
    try {
      writeState(data, stateOf(supervisor, settings, phase === 'ready'));
    } catch (error) {
      // A full disk must not end the supervisor, and with it the tier.
      process.emitWarning(error as Error);
    }
  };
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  const supervisor = createSupervisor({
    parts: partsOf(layout, programs),
    user,
    logs: layout.folders.logs,
    clock,
    report: (event) => {
      saveState();
      options.report?.(event);
      const restarts = supervisor.parts().get(event.part)?.restarts ?? 0;
      if (event.what === 'ended' && restarts >= START_TRIES) {
        const said = endOfLog(layout.folders.logs, event.part);
        failed.abort(new Error(`${event.part} does not start (${event.detail}): ${said}`));
      }
    },
  });
  let closeControl = async () => {};
  const watching = new AbortController();
  const tier = tierOf(layout, secrets, settings);
  const stop = async () => {
    watching.abort();
    await supervisor.stop();
    for (const { epmdPort } of layout.brokers.slice(0, 1)) await endEpmd(epmdPort);
    await closeControl();
    // HAProxy leaves its sockets behind.
    await rm(layout.folders.run, { recursive: true, force: true });
    phase = 'stopped';
    await removeState(data);
    unlock();
  };
  try {
    const space = watchSpace(tier, supervisor, clock, watching.signal, options.report);
    closeControl = await openControl(controlSocket(layout.folders.run), supervisor, space);
    for (const etcd of layout.etcds) {
      supervisor.start(etcd.name);
      await waitForEtcd(etcd, signal);
    }
    for (const name of supervisor.parts().keys()) supervisor.start(name);
    await waitUntilServing(tier, signal);
    if (options.synchronous !== undefined) await applySynchronous(tier, options.synchronous);
    await writeDatabaseEnvironment(data, tier);
    await rm(unfinishedFile(data), { force: true });
    phase = 'ready';
    saveState();
    void watchForHung(layout, supervisor, clock, watching.signal, options.report);
    const reportClients: SlowClientOptions['report'] = (part, what, detail) =>
      options.report?.({ part, what, detail });
    void watchSlowClients({ layout, clock, report: reportClients }, watching.signal);
    return { ...tier, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @returns the state that a killed supervisor left, if any. @throws Error when a tier runs in the folder */
async function refuseRunning(data: string): Promise<TierState | undefined> {
  const state = await readState(data);
  if (state && isAlive(state.supervisor)) {
    throw new Error(`a tier runs in ${data} already (pid ${state.supervisor.pid})`);
  }
  return state;
}

/** Watches the parts that may hang, until the signal. */
function watchForHung(
  layout: Layout,
  supervisor: Supervisor,
  clock: Clock,
  stopping: AbortSignal,
  report: ClusterOptions['report'],
): Promise<void> {
  const parts: WatchedPart[] = [
    ...layout.haproxies.map(({ name }) => ({ name, kind: 'haproxy' as const })),
    ...layout.bouncers.map(({ name }) => ({ name, kind: 'bouncer' as const })),
    ...layout.etcds.map(({ name }) => ({ name, kind: 'etcd' as const })),
    ...layout.brokers.map(({ name }) => ({ name, kind: 'broker' as const })),
  ];
  return watchParts(
    {
      parts,
      clock,
      ask: (part, signal) => ask(layout, part, signal),
      isWatched: (name) => {
        const part = supervisor.parts().get(name);
        return part?.process !== undefined && !part.held;
      },
      restart: supervisor.kill,
      report: (part, detail) => report?.({ part, what: 'hung', detail }),
    },
    stopping,
  );
}

function stateOf(supervisor: Supervisor, settings: TierSettings, ready: boolean): TierState {
  const running = [...supervisor.parts()].flatMap(([name, part]) =>
    part.process ? [[name, { process: part.process, since: part.since, restarts: part.restarts }]] : [],
  );
  return { supervisor: identify(process.pid)!, settings, ready, parts: Object.fromEntries(running) };
}

function endOfLog(folder: string, part: string): string {
  const text = readFileSync(join(folder, `${part}.log`), 'utf8').trim();
  return text.split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
