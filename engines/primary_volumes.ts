/** The file systems of the PostgreSQL at an address, where it runs on this machine. */
import { join } from 'node:path';
import { leaderOf } from './cluster/patroni.ts';
import { type Volume, volumesOf } from './cluster/space.ts';
import { runningTier } from './cluster/tier.ts';
import { EMBEDDED_DATABASE, findPostgres, postgresFolder } from './postgres.ts';

export interface NodeVolumes {
  readonly node: string;
  readonly volumes: readonly Volume[];
}

/**
 * The file systems of the primary of the tier in DATA_DIR, or of the embedded server there, depending on the address.
 * @param url of PostgreSQL
 * @returns undefined where the address belongs to neither, or the primary is not known now
 * @throws Error where that can't be read
 */
export async function primaryVolumes(
  config: { readonly DATA_DIR: string },
  url: string,
): Promise<NodeVolumes | undefined> {
  const folder = postgresFolder(config);
  const embedded = await findPostgres(folder, EMBEDDED_DATABASE);
  if (embedded !== undefined && isSameServer(url, embedded))
    return { node: 'primary', volumes: await volumesOf({ folder: join(folder, 'cluster') }) };
  const tier = await runningTier(config);
  if (!tier || !isSameServer(url, tier.writeUrl)) return undefined;
  const primary = await leaderOf(tier.layout.nodes);
  return primary && (await tier.space()).find(({ node }) => node === primary.name);
}

function isSameServer(url: string, other: string): boolean {
  const [one, two] = [new URL(url), new URL(other)];
  return hostOf(one) === hostOf(two) && (one.port || STANDARD_PORT) === (two.port || STANDARD_PORT);
}

const STANDARD_PORT = '5432';

const hostOf = ({ hostname }: URL): string => (hostname === 'localhost' ? '127.0.0.1' : hostname);
