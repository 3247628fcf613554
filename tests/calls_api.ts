/** The calls service on a database of a test's own, as a client sees it. */
import { after } from 'node:test';
import { sql } from 'kysely';
import type { FindKey } from '#platform/access/authenticator.ts';
import type { CacheStore } from '#platform/cache/cache.ts';
import type { Databases } from '#platform/database/shared_database.ts';
import { sqlBuilder } from '#platform/database/statement.ts';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { createLifetime } from '#platform/lifecycle/lifetime.ts';
import { type RunningOnDatabase, startService } from '#platform/service/service.ts';
import { createLogger, type Logger } from '#platform/telemetry/logger.ts';
import type { Room } from '#services/calls/intake/room.ts';
import { calls as definition } from '#services/calls/service.ts';
import type { CallsSettings } from '#services/calls/settings.ts';
import { THE_PROGRAM } from '#services/calls/store/audit.ts';
import type { Scope } from '#services/identity/contract.ts';
import { rightsOfClaims } from '#services/identity/contract.ts';
import { createKey } from '#services/identity/keys.ts';
import { findAnyKey, keyPlaces } from '#system';
import { type TestDatabase, testDatabase } from './postgres.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever JSON the API answers
export type Json = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
  readonly text: string;
}

export interface TestApi {
  readonly database: TestDatabase;
  readonly calls: RunningOnDatabase;
  /** A key of this scope; a customer's with its account. */
  key(scope: Scope, iAccount?: number): Promise<string>;
  /** An account; gives its number. */
  account(code: string, options?: { timeZone?: string; parent?: number; currency?: string }): Promise<number>;
  /** @param key sent as the bearer; null sends none */
  get(path: string, key: string | null, headers?: Record<string, string>): Promise<Answer>;
  send(
    method: string,
    path: string,
    headers: Record<string, string>,
    body?: string | Buffer,
  ): Promise<Answer>;
  post(body: unknown, key: string | null, path?: string): Promise<Answer>;
  stop(): Promise<void>;
}

/** As they are unless a test says otherwise. */
export const API_SETTINGS: CallsSettings = {
  host: '127.0.0.1',
  port: 0,
  corsOrigins: [],
  trustedProxies: [],
  poolSize: 10,
  heavySlots: 0,
  queueOrder: 'fifo',
  queryTimeoutMs: 30_000,
  connectionLifetimeMs: 300_000,
  maxReplicaLagS: 30,
  bodyLimitBytes: 32_000_000,
  rateLimitPerMinute: 1_000_000,
  jwksUrl: undefined,
  jwtIssuer: undefined,
  jwtAudience: undefined,
  retentionMonths: 0,
  shutdownGraceMs: 500,
  defaultCurrency: 'EUR',
  importTimeZone: 'UTC',
  diskPausePercent: 100,
  sources: [],
};

/** Starts the service; it is stopped after the file's last test. Call it at the top of the file. */
export async function testApi(
  settings: Partial<CallsSettings> = {},
  options: {
    clock?: Clock;
    database?: TestDatabase;
    replicaUrls?: readonly string[];
    room?: Room;
    logger?: Logger;
    findKey?: FindKey;
    databases?: Databases;
    cache?: CacheStore;
  } = {},
): Promise<TestApi> {
  const database = options.database ?? (await testDatabase());
  const failures: string[] = [];
  const lifetime = createLifetime((what, error) => failures.push(`${what}: ${String(error)}`));
  const parts = {
    settings: { ...API_SETTINGS, ...settings },
    ...(options.databases && { databases: options.databases }),
    ...(options.cache && { cache: options.cache }),
    databaseUrl: database.url,
    replicaUrls: options.replicaUrls ?? [],
    findKey: options.findKey ?? findAnyKey,
    rightsOf: rightsOfClaims,
    room: options.room,
    clock: options.clock ?? systemClock,
    random: Math.random,
    logger: options.logger ?? createLogger('test', 'silent'),
  };
  const calls = await startService(definition, parts, lifetime);
  const stop = async () => {
    await lifetime.stop();
    if (failures.length > 0) throw new Error(failures.join('\n'));
  };
  after(stop);

  const send: TestApi['send'] = async (method, path, headers, body) => {
    const response = await fetch(calls.url + path, {
      method,
      headers,
      ...(body !== undefined && { body: body as string }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? JSON.parse(text) : undefined,
    };
  };
  const bearer = (key: string | null): Record<string, string> =>
    key === null ? {} : { authorization: `Bearer ${key}` };

  return {
    database,
    calls,
    key: async (scope, iAccount) => {
      const wanted = { name: `test ${scope}`, scope, iAccount: iAccount ?? null, expiresAt: null };
      return (await createKey(keyPlaces(database.pool), wanted, THE_PROGRAM)).key;
    },
    account: async (code, { timeZone = 'UTC', parent, currency = 'EUR' } = {}) => {
      const inserted = sql<{ i_account: number }>`
        INSERT INTO calls.accounts (code, name, currency, time_zone, country, i_parent)
        VALUES (${code}, ${code}, ${currency}, ${timeZone}, 'DE', ${parent ?? null}) RETURNING i_account`.compile(
        sqlBuilder(),
      );
      return (await database.pool.query(inserted.sql, [...inserted.parameters])).rows[0].i_account;
    },
    get: (path, key, headers = {}) => send('GET', path, { ...bearer(key), ...headers }),
    send,
    post: (body, key, path = '/cdrs') =>
      send('POST', path, { ...bearer(key), 'content-type': 'application/json' }, JSON.stringify(body)),
    stop,
  };
}
