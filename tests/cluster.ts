/** A PostgreSQL tier of real processes for tests, started as a user starts it: `trunkline cluster up --detach`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drillsFolder } from '#engines/cluster/drills/results.ts';
import { type DrillServices, startDrillServices } from '#engines/cluster/drills/services.ts';
import { destroyCluster } from '#engines/cluster/ending.ts';
import { refuseTakenPorts } from '#engines/cluster/folders.ts';
import { localLayout, PORT_BLOCK } from '#engines/cluster/layout.ts';
import { missingPrograms } from '#engines/cluster/programs.ts';
import { findTier, type Tier } from '#engines/cluster/tier.ts';
import { run } from '#engines/processes.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** Below the ports that the kernel gives to outgoing connections. */
const FIRST_PORT = 20_000;
const PORT_TRIES = 200;

/** Why suites that need the tier are skipped here; false where they run. */
export function clusterSkip(): string | false {
  const missing = missingPrograms();
  return missing.length > 0 && `not installed: ${missing.join(', ')} (scripts/engines installs them)`;
}

export interface TestCluster {
  readonly data: string;
  readonly portBase: number;
  /** Runs `trunkline …` with the folder of the tier; rejects when it fails, with what it said. */
  command(...words: string[]): Promise<{ stdout: string; stderr: string }>;
  /** `trunkline cluster up --detach`: starts the tier, and returns once it runs. */
  up(...words: string[]): Promise<{ stdout: string; stderr: string }>;
  /** Stops everything and deletes the folder. */
  destroy(): Promise<void>;
}

/** A folder and free ports for a tier; nothing runs yet. */
export async function makeTestCluster(): Promise<TestCluster> {
  const data = await mkdtemp(join(tmpdir(), 'trunkline-cluster-'));
  const portBase = await freePortBlock(data);
  const command: TestCluster['command'] = (...words) =>
    run(process.execPath, [MAIN, ...words, '--data', data]);
  return {
    data,
    portBase,
    command,
    up: (...words) => command('cluster', 'up', '--detach', '--port-base', String(portBase), ...words),
    destroy: async () => {
      await destroyCluster(data);
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A tier that runs, with the services of a drill on it. */
export interface DrillTier {
  readonly cluster: TestCluster;
  readonly tier: Tier;
  readonly services: DrillServices;
  /** Stops everything and deletes the folder. */
  destroy(): Promise<void>;
}

export async function startDrillTier(): Promise<DrillTier> {
  const cluster = await makeTestCluster();
  try {
    await cluster.up();
    const tier = await findTier(cluster.data);
    const services = await startDrillServices(tier, [process.execPath, MAIN], drillsFolder(cluster.data));
    const destroy = async () => {
      await services.stop();
      await cluster.destroy();
    };
    return { cluster, tier, services, destroy };
  } catch (error) {
    await cluster.destroy();
    throw error;
  }
}

async function freePortBlock(data: string): Promise<number> {
  for (let n = 0; n < PORT_TRIES; n++) {
    const portBase = FIRST_PORT + PORT_BLOCK * ((process.pid + n) % 400);
    try {
      await refuseTakenPorts(localLayout({ data, portBase, haproxies: 2, rabbitmq: true }));
      return portBase;
    } catch {
      // some port of this block is taken; the next block may be free
    }
  }
  throw new Error('no block of free ports');
}
