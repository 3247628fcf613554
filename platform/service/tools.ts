/** What a service is given, and what it gives in turn, while it is started (service.ts). */
import type { FastifyRequest } from 'fastify';
import type { FindKey } from '#platform/access/authenticator.ts';
import type { Api } from '#platform/access/protected_routes.ts';
import type { RecentWrites } from '#platform/access/read_your_writes.ts';
import type { RightsOfClaims } from '#platform/access/token_verifier.ts';
import type { Cache, CacheStore } from '#platform/cache/cache.ts';
import type { Network } from '#platform/config/network.ts';
import type { DatabasePlace } from '#platform/database/address.ts';
import type { ConnectionSettings, ServiceDatabase } from '#platform/database/service_database.ts';
import type { Session } from '#platform/database/session.ts';
import type { Databases } from '#platform/database/shared_database.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Job } from '#platform/lifecycle/job.ts';
import type { Lifetime } from '#platform/lifecycle/lifetime.ts';
import type { Handling } from '#platform/messaging/consumption.ts';
import type { Outgoing, Topic } from '#platform/messaging/topic.ts';
import type { Logger } from '#platform/telemetry/logger.ts';
import type { Registry } from '#platform/telemetry/metrics.ts';
import type { Health } from './health.ts';
import type { MoreToShow } from './monitoring.ts';

/** What every service is set to that listens. */
export interface ListenSettings {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Origins of pages that may call the API; none when empty. */
  readonly corsOrigins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly Network[];
}

/** What every service is set to that stands on a database. */
export interface DatabaseSettings extends ListenSettings, ConnectionSettings {
  /** Requests of one key. */
  readonly rateLimitPerMinute: number;
  /** Keys of an identity provider whose tokens are taken; with it goes who issues them, and for whom. */
  readonly jwksUrl: string | undefined;
  readonly jwtIssuer: string | undefined;
  readonly jwtAudience: string | undefined;
  /** How long running requests may take to end at a stop. */
  readonly shutdownGraceMs: number;
}

/** What the program gives every service. */
export interface ServiceParts<Settings> {
  readonly settings: Settings;
  readonly clock: Clock;
  /** From 0 up to, not including, 1; Math.random in production. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** What it gives a service with tables, beside that. */
export interface DatabaseParts {
  /** The databases of this process; left out: the service shares none. */
  readonly databases?: Databases;
  /** What this process keeps for a while; left out: the service has a store of its own, in this process. */
  readonly cache?: CacheStore;
  readonly databaseUrl: string;
  /** Read replicas; all reads go to them where there are any. */
  readonly replicaUrls: readonly string[];
  /**
   * Where those services stand on whose databases keys are looked up; who is left out stands on this one's. The health of these
   * databases is shown with its own.
   */
  readonly keysAt?: Readonly<Record<string, DatabasePlace>>;
  readonly findKey: FindKey;
  /** Left out: messages stay in the service's own database. */
  readonly messages?: {
    /** RabbitMQ. */
    readonly brokerUrl: string | undefined;
    /** The database of the service that publishes a topic. */
    readonly urlOf: (topic: string) => string;
  };
  /** What the claims of a token allow. */
  readonly rightsOf: RightsOfClaims;
}

/** What a service has to work with while it runs. */
export interface ServiceTools<Settings> extends ServiceParts<Settings> {
  readonly registry: Registry;
  readonly lifetime: Lifetime;
}

export interface MessageTools {
  /** Publishes messages in the transaction that `session` is in. @throws RangeError for a topic that the service does not declare */
  publish(session: Session, messages: readonly Outgoing[]): Promise<string[]>;
  /** Tells every living process something. @throws as publish does */
  announce<Body>(session: Session, topic: Topic<Body, 'broadcast'>, body: Body): Promise<void>;
}

export interface DatabaseTools<Settings> extends ServiceTools<Settings>, MessageTools {
  /** The service's part of the store. */
  readonly cache: Cache;
  readonly database: ServiceDatabase;
  readonly databaseUrl: string;
  /** What all processes of the service share, for seals. */
  readonly secret: Buffer;
  readonly recentWrites: RecentWrites;
}

/** What a service of its own does, once its parts are there. */
export interface StartedService {
  /** Adds the routes that need a key; each says in its config which scopes may use it. */
  readonly routes?: (api: Api) => void;
  /** Adds routes that identify their callers in another way than by a key, or not at all. */
  readonly openRoutes?: (server: Server) => Promise<void>;
  /** What the service does by itself, again and again. */
  readonly jobs?: readonly Job[];
  /** Who handles what its definition says that it consumes. */
  readonly handlers?: readonly Handling[];
  /** Work under way, which ends when the service stops. */
  readonly background?: readonly Promise<unknown>[];
  /** Told of each request that comes without a valid key, or with one that may not do what it asks. */
  readonly onRefused?: (request: FastifyRequest) => void;
  /** What `/monitoring` shows beside the database. */
  readonly monitoring?: MoreToShow;
}

/** What a service without a database does. Who may ask is its own business, and so is its health. */
export interface StartedPlainService {
  readonly health: Health;
  readonly addRoutes: (server: Server) => Promise<void>;
  /** Begins once the service listens; ends when it stops. */
  readonly run?: (stopping: AbortSignal) => Promise<void>;
}
