/**
 * The keys by which identity encrypts what must be secret in its tables: of ENCRYPTION_KEYS, or of a file outside of the database that
 * only the program's user can read. The first encrypts, all decrypt.
 *
 * The database keeps a check value of the key. A machine that has another key than the others would make secrets that they can't
 * read, so it is found out before that.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { link, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Session } from '#platform/database/session.ts';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import { makeOwnFolder, readOwnFile } from '#platform/lifecycle/own_files.ts';
import { identityError } from '../errors.ts';

const build = sqlBuilder<unknown>();
const KEY_BYTES = 32;

/** @param given ENCRYPTION_KEYS @param folder where the file is, and is made */
export async function encryptionKeys(
  given: readonly string[] | undefined,
  folder: string,
): Promise<readonly string[]> {
  if (given) return given;
  await makeOwnFolder(folder);
  const path = join(folder, 'encryption_keys');
  try {
    return keysIn(await readOwnFile(path, { secret: true }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  // Of processes that start at once, one makes the file, and it is whole from its first moment.
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flush: true });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return keysIn(await readOwnFile(path, { secret: true }));
}

function keysIn(text: string): string[] {
  const keys = text.split(/\s+/).filter((line) => line !== '');
  if (keys.length === 0) throw new Error('the file of encryption keys is empty');
  return keys;
}

/** The same for the same key everywhere, so that secrets say which key they are encrypted by: 31 bits. */
export const versionOf = (key: string): number =>
  createHmac('sha256', key).update('version').digest().readUInt32BE() >>> 1;

const insertCheck = (value: Buffer): Statement<unknown> =>
  sql`INSERT INTO identity.secrets (name, value) VALUES ('encryption check', ${value}) ON CONFLICT (name) DO NOTHING`.compile(
    build,
  );
const readCheck = (): Statement<{ value: Buffer }> =>
  sql<{ value: Buffer }>`SELECT value FROM identity.secrets WHERE name = 'encryption check'`.compile(build);
const replaceCheck = (value: Buffer): Statement<unknown> =>
  sql`UPDATE identity.secrets SET value = ${value} WHERE name = 'encryption check'`.compile(build);

/** @throws ApiError when these keys are not those of the other processes */
export async function checkKeys(session: Session, keys: readonly string[]): Promise<void> {
  const checkOf = (key: string) => createHmac('sha256', key).update('check').digest();
  const first = checkOf(keys[0]!);
  await session.run(insertCheck(first));
  const { value } = (await session.row(readCheck()))!;
  if (!keys.some((key) => checkOf(key).equals(value))) throw identityError('other_encryption_key');
  // A new first key is in use from now on, and one that is gone from the list is missed no more.
  if (!value.equals(first)) await session.run(replaceCheck(first));
}
