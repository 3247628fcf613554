/** The part of the HTTP server that needs a key: authentication, scopes and rate limits around this service's routes. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import type { Database } from '#platform/database/database.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { callsError } from '../errors.ts';
import { type Authenticator, readCredentials, requireScope } from './auth.ts';
import type { Caller, Scope } from './caller.ts';
import { ticketOf } from './ticket.ts';

/** A server whose requests come with a caller. */
export type Api = Server;

export interface ApiNeeds {
  readonly database: Database;
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** Of one key. */
  readonly rateLimitPerMinute: number;
}

/** Requests without a valid key that one address may send; beyond it is told to wait. Valid keys are not held up. */
export const FAILURES_PER_MINUTE = 60;

const WINDOW_MS = 60_000;
/** Keys and addresses that are counted at once; the longest unseen are forgotten first. */
const COUNTED = 20_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. */
    scopes?: readonly Scope[];
    /** Whether `Authorization: Basic` is taken. */
    basicAuth?: boolean;
    /** It must work while the database does not: keys are looked up aside of queue and breaker. */
    aside?: boolean;
  }
  interface FastifyRequest {
    /** Set on every route of the API. */
    caller?: Caller;
  }
}

/**
 * @param addRoutes adds the routes; each must say in its config which scopes may use it
 */
export async function guardedApi(
  server: Server,
  needs: ApiNeeds,
  addRoutes: (api: Api) => void,
): Promise<void> {
  await server.register(async (plugin) => {
    const api = plugin as unknown as Api;
    await api.register(rateLimit, {
      max: needs.rateLimitPerMinute,
      timeWindow: WINDOW_MS,
      cache: COUNTED,
      // After authentication, before the body is read.
      hook: 'preParsing',
      keyGenerator: (request: FastifyRequest) => request.caller!.id,
      errorResponseBuilder: (_request, { max, ttl }) =>
        callsError('rate_limited', {
          message: `Too many requests with this key: it may make ${max} a minute`,
          retryAfterS: ttl / 1000,
        }),
    });
    const countFailure = api.createRateLimit({
      max: FAILURES_PER_MINUTE,
      timeWindow: WINDOW_MS,
      keyGenerator: (request) => `failed:${request.ip}`,
    });
    api.addHook('onRoute', (route) => {
      if (!route.config?.scopes)
        throw new Error(`${String(route.method)} ${route.url} does not say who may use it`);
    });
    api.addHook('onRequest', async (request, reply) => {
      const { scopes, basicAuth, aside } = request.routeOptions.config;
      const credentials = readCredentials(request.headers.authorization, basicAuth ?? false);
      const caller = aside
        ? await needs.authenticator.identifyAside(credentials, `address:${request.ip}`)
        : await needs.authenticator.identify(
            credentials,
            (probably) => ticketOf(request, reply, needs.clock, probably),
            request.method === 'POST' ? 'write' : 'read',
          );
      if (!caller) throw await refusal(request);
      request.caller = caller;
      request.callerName = caller.name;
      requireScope(caller, scopes!, request);
    });

    async function refusal(request: FastifyRequest): Promise<Error> {
      const counted = await countFailure(request);
      if (!counted.isAllowed && counted.isExceeded) {
        return callsError('too_many_failures', { retryAfterS: counted.ttlInSeconds });
      }
      return callsError('unauthorized', {
        message: request.headers.authorization
          ? 'This key is not valid: unknown, expired or revoked'
          : 'A key is needed: Authorization: Bearer tl_…',
      });
    }

    addRoutes(api);
  });
}
