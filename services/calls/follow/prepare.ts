/** Makes the followed sources from the entries of CALLS_SOURCES: makes the checks that need the disk and the database. */
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Mapping } from '../formats/mapping.ts';
import { findMap } from '../store/maps.ts';
import type { Following } from './follow.ts';
import { type FollowedSource, SourcesError } from './sources.ts';

export interface PrepareOptions {
  /** For accounts that are created, where an entry does not say. */
  readonly currency: string;
}

/**
 * @throws SourcesError with every fault: an unknown mapping, a folder for moved documents that is not writable
 */
export async function prepareSources(
  pool: Pool,
  sources: readonly FollowedSource[],
  options: PrepareOptions,
): Promise<Following[]> {
  const faults: string[] = [];
  const prepared: Following[] = [];
  for (const source of sources) {
    const { mapName, path } = source;
    const mapping = mapName === undefined ? undefined : await mappingOf(pool, mapName);
    if (mapName !== undefined && !mapping) {
      faults.push(
        `${path}: no mapping is remembered as "${mapName}"; import one file with --map-name ${mapName} and --map column=field first`,
      );
    }
    faults.push(...(await faultsOnDisk(source)));
    prepared.push(followingOf(source, mapping, options));
  }
  if (faults.length > 0)
    throw new SourcesError(['CALLS_SOURCES is wrong:', ...faults.map((fault) => `  ${fault}`)]);
  return prepared;
}

async function mappingOf(pool: Pool, name: string): Promise<Mapping | undefined> {
  const kept = await withSession(pool, (session) => session.row(findMap(name)));
  return kept && { name, columns: kept.columns };
}

async function faultsOnDisk({ path, after }: FollowedSource): Promise<string[]> {
  if (after.kind === 'keep') return [];
  const found = await stat(path).catch(() => undefined);
  if (found && !found.isDirectory())
    return [`${path}: "after" is for the documents of a folder, and this is a file: it must be "keep"`];
  if (after.kind === 'delete') return [];
  const target = await stat(after.folder).catch(() => undefined);
  if (!target?.isDirectory())
    return [`${path}: the folder for moved documents, ${after.folder}, is no folder`];
  const mayWrite = await access(after.folder, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  return mayWrite ? [] : [`${path}: the folder for moved documents, ${after.folder}, is not writable`];
}

function followingOf(
  source: FollowedSource,
  mapping: Mapping | undefined,
  { currency }: PrepareOptions,
): Following {
  const { timeZone, country, account, accountFrom, inboundContext, dateOrder, decimalSign } = source;
  const newAccounts = { currency: source.currency ?? currency, timeZone, country: country ?? null };
  return {
    path: source.path,
    after: source.after,
    options: {
      format: source.format,
      source: source.source,
      read: {
        timeZone,
        ...(dateOrder && { dateOrder }),
        ...(decimalSign && { decimalSign }),
        ...(account !== undefined && { account }),
        ...(source.credits && { credits: true }),
        ...(accountFrom !== undefined && { accountField: accountFrom }),
        ...(inboundContext && { inboundContexts: inboundContext }),
        ...(mapping && { mapping }),
      },
      newAccounts: source.createAccounts ? newAccounts : null,
      sameCall: source.sameCall,
    },
  };
}
