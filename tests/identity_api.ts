/** The identity service on a database of a test's own, and browsers that keep cookies. */
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { THE_PROGRAM } from '#platform/database/audit.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { startService } from '#platform/service/service.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { rightsOfClaims } from '#services/identity/contract.ts';
import { makeOperator } from '#services/identity/people/operators.ts';
import { identity as definition } from '#services/identity/service.ts';
import type { IdentitySettings } from '#services/identity/settings.ts';
import { findAnyKey } from '#system';
import { API_SETTINGS, type Json } from './calls_api.ts';
import { type TestDatabase, testDatabase } from './postgres.ts';

export const PUBLIC_URL = 'http://localhost:3001';

export interface Said {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

/** Keeps cookies, as a browser does. */
export interface Browser {
  readonly cookies: Map<string, string>;
  ask(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Said>;
  signIn(email: string, password: string, headers?: Record<string, string>): Promise<Said>;
}

export interface TestIdentity {
  readonly database: TestDatabase;
  readonly url: string;
  browser(): Browser;
  /** An operator with a random password. */
  operator(email: string): Promise<{ id: string; password: string }>;
  stop(): Promise<void>;
}

/** Starts the service; it is stopped after the file's last test. */
export async function testIdentity(
  settings: Partial<IdentitySettings> = {},
  options: { database?: TestDatabase; folder?: string } = {},
): Promise<TestIdentity> {
  const database = options.database ?? (await testDatabase());
  const folder = options.folder ?? ownFolder();
  const failures: string[] = [];
  const lifetime = createLifetime((what, error) => failures.push(`${what}: ${String(error)}`));
  const running = await startService(
    definition,
    {
      settings: { ...API_SETTINGS, publicUrl: PUBLIC_URL, encryptionKeys: undefined, ...settings },
      databaseUrl: database.url,
      replicaUrls: [],
      findKey: findAnyKey,
      rightsOf: rightsOfClaims,
      clock: systemClock,
      random: Math.random,
      logger: createLogger('test', 'silent'),
      ...{ folder },
    },
    lifetime,
  );
  const stop = async () => {
    await lifetime.stop();
    if (failures.length > 0) throw new Error(failures.join('\n'));
  };
  after(stop);
  return {
    database,
    url: running.url,
    browser: () => browserOn(running.url),
    operator: (email) =>
      makeOperator(database.pool, { email, name: 'Anna Weber', reset: false }, THE_PROGRAM),
    stop,
  };
}

export function ownFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-identity-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function browserOn(url: string): Browser {
  const cookies = new Map<string, string>();
  const ask: Browser['ask'] = async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        origin: PUBLIC_URL,
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = '', attributes = ''] = /^([^=]+)=([^;]*)(.*)$/.exec(line) ?? [];
      if (value === '' || /Max-Age=0/i.test(attributes)) cookies.delete(name);
      else cookies.set(name, value);
    }
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return {
    cookies,
    ask,
    signIn: (email, password, headers) => ask('POST', '/auth/sign-in', { email, password }, headers),
  };
}

const STEP_MS = 30_000;

/** The code of an authenticator app. @param uri as the service gave it @param steps half minutes from now */
export function totp(uri: string, steps = 0): string {
  const secret = base32(new URL(uri).searchParams.get('secret')!);
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / STEP_MS) + steps));
  const mac = createHmac('sha1', secret).update(counter).digest();
  const at = mac[mac.length - 1]! & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

function base32(text: string): Buffer {
  const bits = [...text.replace(/=+$/, '')]
    .map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'))
    .join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
}
