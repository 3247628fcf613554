/** The routes of a service that need a key: identify the caller, check its scope, and limit its requests. */
import type { FastifyRequest } from 'fastify';
import type { Cache } from '#platform/cache/cache.ts';
import { clientOf } from '#platform/http/client_address.ts';
import { tellRate } from '#platform/http/rate_headers.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createRateLimit } from '#platform/resilience/rate_limit.ts';
import type { Authenticator } from './authenticator.ts';
import type { Caller } from './caller.ts';
import { readCredentials } from './credentials.ts';
import { accessError } from './errors.ts';
import { contextOf } from './http_context.ts';

/** A server whose requests come with a caller. */
export type Api = Server;

export interface ProtectedRoutesNeeds {
  readonly clock: Clock;
  readonly authenticator: Authenticator;
  /** Where requests are counted; where it is shared, processes count together. */
  readonly cache: Cache;
  /** Limit of one key. */
  readonly rateLimitPerMinute: number;
  /** Called for each request without a valid key, or with a key whose scope may not use the route. */
  readonly onRefused?: (request: FastifyRequest) => void;
}

/** Requests without a valid key that one address may send; further ones get 429. Valid keys are not affected. */
export const FAILURES_PER_MINUTE = 60;

const WINDOW_MS = 60_000;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The scopes that may use the route. */
    scopes?: readonly string[];
    /** Whether `Authorization: Basic` is accepted. */
    basicAuth?: boolean;
    /** The route must work while the database does not: keys are looked up outside queue and breaker. */
    bypassQueue?: boolean;
  }
  interface FastifyRequest {
    /** Set on every route of the API. */
    caller?: Caller;
  }
}

/**
 * Adds routes that answer only the scopes in their config. A route without scopes can't be added.
 * @param addRoutes adds the routes; the config of each must list the scopes that may use it
 */
export async function protectedRoutes(
  server: Server,
  needs: ProtectedRoutesNeeds,
  addRoutes: (api: Api) => void,
): Promise<void> {
  await server.register(async (plugin) => {
    const api = plugin as unknown as Api;
    const { clock, cache, rateLimitPerMinute } = needs;
    const limit = (what: string, max: number) =>
      createRateLimit({ what, max, windowMs: WINDOW_MS, shared: cache.isShared ? cache : undefined, clock });
    const ofCaller = limit('rate', rateLimitPerMinute);
    const ofFailures = limit('failures', FAILURES_PER_MINUTE);
    api.addHook('onRoute', (route) => {
      if (!route.config?.scopes) throw new Error(`${String(route.method)} ${route.url} declares no scopes`);
    });
    api.addHook('onRequest', async (request, reply) => {
      const { scopes, basicAuth, bypassQueue } = request.routeOptions.config;
      const credentials = readCredentials(request.headers.authorization, basicAuth ?? false);
      const caller = bypassQueue
        ? await needs.authenticator.identifyBypassingQueue(credentials, `address:${clientOf(request)}`)
        : await needs.authenticator.identify(
            credentials,
            (probably) => contextOf(request, reply, needs.clock, probably),
            request.method === 'POST' ? 'write' : 'read',
          );
      if (!caller) {
        needs.onRefused?.(request);
        throw await refusal(request);
      }
      request.caller = caller;
      request.callerName = caller.name;
      const rate = await ofCaller(caller.id);
      tellRate(reply, rate);
      if (!rate.allowed) {
        throw accessError('rate_limited', {
          message: `Too many requests with this key: it may make ${rate.max} a minute`,
          retryAfterS: rate.endsInMs / 1_000,
        });
      }
      if (!scopes!.includes(caller.scope)) {
        needs.onRefused?.(request);
        throw wrongScope(caller, scopes!, request);
      }
    });

    async function refusal(request: FastifyRequest): Promise<Error> {
      const { allowed, endsInMs } = await ofFailures(clientOf(request));
      if (!allowed) return accessError('too_many_failures', { retryAfterS: endsInMs / 1_000 });
      return accessError('unauthorized', {
        message: request.headers.authorization
          ? 'This key is not valid: unknown, expired or revoked'
          : 'A key is needed: Authorization: Bearer tl_…',
      });
    }

    addRoutes(api);
  });
}

/** A 403 that names the scopes that may use the route. */
function wrongScope(caller: Caller, scopes: readonly string[], request: FastifyRequest): Error {
  const may = scopes.join(', ');
  return accessError('forbidden', {
    message: `${request.method} ${request.routeOptions.url} needs a key of scope ${may}; this one has ${caller.scope}`,
  });
}
