/** The passwords of a tier: made once, kept in its data folder (mode 600) or given by the environment. */
import { randomBytes } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readOwnFile } from '#platform/lifecycle/own_files.ts';

const NAMES = [
  'superuser',
  'replication',
  'rewind',
  'app',
  'rest',
  'bouncerAdmin',
  'bouncerStats',
  'check',
  'broker',
  'brokerCookie',
] as const;

/** Passwords by purpose; `app` is the password of the role `trunkline`, which services use. */
export type Secrets = Readonly<Record<(typeof NAMES)[number], string>>;

export const secretsFile = (folder: string): string => join(folder, 'secrets.json');

const newPassword = () => randomBytes(18).toString('hex');

/** Reads the secrets of the tier in `folder`, and makes the missing ones. */
export async function readOrMakeSecrets(folder: string): Promise<Secrets> {
  const kept = await readSecrets(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return {} as Partial<Secrets>;
    throw error;
  });
  const secrets = Object.fromEntries(NAMES.map((name) => [name, kept[name] ?? newPassword()])) as Secrets;
  if (NAMES.some((name) => kept[name] === undefined)) {
    await writeFile(secretsFile(folder), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  }
  return secrets;
}

/** Whether a tier was ever made in `folder`. @throws Error when the folder can't be looked into */
export const hasSecrets = (folder: string): Promise<boolean> =>
  stat(secretsFile(folder)).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

/** @throws Error (ENOENT) when no tier was ever made in `folder`; another one when its secrets can't be read */
export async function readSecrets(folder: string): Promise<Secrets> {
  const text = await readOwnFile(secretsFile(folder), { secret: true });
  try {
    return JSON.parse(text) as Secrets;
  } catch {
    // JSON.parse's error quotes the text, and with it passwords.
    throw new Error(`${secretsFile(folder)} is damaged: it holds no JSON`);
  }
}
