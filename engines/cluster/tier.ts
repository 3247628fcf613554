/** A running tier for its users, drills and `status`: addresses, secrets, and the supervisor's control interface. */
import { realpath, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { brokerUrl } from '#engines/broker_node.ts';
import { isAlive, type ProcessIdentity } from '#engines/processes.ts';
import { askControl, controlSocket, type PartProcess } from './control.ts';
import { type Address, type Layout, localLayout } from './layout.ts';
import { hasSecrets, readSecrets, type Secrets } from './secrets.ts';
import type { NodeSpace } from './space.ts';
import { readState, type TierSettings } from './state.ts';

/** The addresses of a tier for services; both hold the password of the role `trunkline`. */
export interface TierAddresses {
  /** For writes, and for reads of rows just written: DATABASE_URL. */
  readonly writeUrl: string;
  /** For reads alone: DATABASE_REPLICA_URL. */
  readonly readUrl: string;
  /** The nodes of RabbitMQ, as RABBITMQ_URL; undefined where the tier runs without it. */
  readonly brokerUrl: string | undefined;
}

export interface Tier extends TierAddresses {
  readonly layout: Layout;
  readonly secrets: Secrets;
  readonly settings: TierSettings;
  parts(): Promise<Record<string, PartProcess>>;
  /** The living process of a part; @throws Error when it is down. */
  processOf(part: string): Promise<ProcessIdentity>;
  /** Keeps a part down once it has ended, and keeps the supervisor from judging it, until `release` or this process ends. */
  hold(part: string): Promise<void>;
  release(part: string): Promise<void>;
  /** The free space of the nodes, as the supervisor sees it. */
  space(): Promise<readonly NodeSpace[]>;
  /** Lets a primary with a full disk hand over at once, whenever the last hand-over was. */
  allowHandOver(): Promise<void>;
}

/** Makes the handle of a tier from its known parts. */
export function tierOf(layout: Layout, secrets: Secrets, settings: TierSettings): Tier {
  const door = controlSocket(layout.folders.run);
  const parts = () => askControl(door, 'parts');
  return {
    layout,
    secrets,
    settings,
    ...tierAddresses(layout, secrets),
    parts,
    processOf: async (part) => {
      const identity = (await parts())[part]?.process;
      if (!identity) throw new Error(`${part} is not running`);
      return identity;
    },
    hold: async (part) => void (await askControl(door, 'hold', part)),
    release: async (part) => void (await askControl(door, 'release', part)),
    space: () => askControl(door, 'space'),
    allowHandOver: async () => void (await askControl(door, 'allow-hand-over')),
  };
}

/**
 * The tier that runs in a data folder.
 * @throws Error when none runs there, or when that can't be found out
 */
export async function findTier(data: string): Promise<Tier> {
  const running = await lookForTier(data);
  if (running) return running;
  const state = await readState(resolve(data));
  const left = state
    ? ', except the parts of a killed supervisor; this ends them and starts the tier'
    : '; start one';
  const ports = state?.settings.portBase ? ` --port-base ${state.settings.portBase}` : '';
  throw new Error(
    `no tier runs in ${resolve(data)}${left}: trunkline cluster up --detach --data ${data}${ports}`,
  );
}

/**
 * The tier that runs in a data folder; undefined where none runs.
 * @throws Error when that can't be found out, or when the secrets of the tier can't be read: that is not "no tier"
 */
export async function lookForTier(data: string): Promise<Tier | undefined> {
  const state = await readState(resolve(data));
  if (!state || !isAlive(state.supervisor)) return undefined;
  // A link leads to the same tier, with sockets in the folder itself.
  const folder = await realpath(data);
  const { portBase, haproxies, rabbitmq } = state.settings;
  const layout = localLayout({ data: folder, haproxies, portBase: portBase ?? undefined, rabbitmq });
  return tierOf(layout, await readSecrets(folder), state.settings);
}

/** Whether a stopped tier keeps its data in a folder. @throws Error when that can't be found out */
export const keepsTierData = (data: string): Promise<boolean> => hasSecrets(resolve(data));

/** The tier folder of an installation. */
export const tierFolder = (config: { readonly DATA_DIR: string }): string => join(config.DATA_DIR, 'cluster');

/**
 * The tier of `trunkline cluster up` or `trunkline up --cluster` that runs in DATA_DIR; undefined where none runs.
 * @throws Error when that can't be found out
 */
export const runningTier = (config: { readonly DATA_DIR: string }): Promise<Tier | undefined> =>
  lookForTier(tierFolder(config));

export function tierAddresses(layout: Layout, secrets: Secrets): TierAddresses {
  return {
    writeUrl: databaseUrl(layout.writes, secrets),
    readUrl: databaseUrl(layout.reads, secrets),
    brokerUrl: layout.brokers.length > 0 ? brokerUrl(layout.brokers, secrets.broker) : undefined,
  };
}

const databaseUrl = ({ host, port }: Address, secrets: Secrets): string =>
  `postgresql://trunkline:${secrets.app}@${host}:${port}/trunkline`;

/** The file with the tier's addresses as environment variables, for `. file` in a shell. */
export const databaseEnvironmentFile = (data: string): string => join(resolve(data), 'database.env');

/** Writes that file; it holds the password. */
export async function writeDatabaseEnvironment(data: string, tier: TierAddresses): Promise<void> {
  const lines = [
    `export DATABASE_URL='${tier.writeUrl}'`,
    `export DATABASE_REPLICA_URL='${tier.readUrl}'`,
    ...(tier.brokerUrl === undefined ? [] : [`export RABBITMQ_URL='${tier.brokerUrl}'`]),
    '',
  ];
  await writeFile(databaseEnvironmentFile(data), lines.join('\n'), { mode: 0o600 });
}
