/**
 * A service as plain data: what the program has to know of it. `system.ts` lists the definitions; migrations, back-ups,
 * `doctor`, `up`, `serve`, the tests' template and what the monitor watches are derived from that list.
 *
 * A definition is light: a large service imports what runs it when it starts.
 */
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { SettingNeed, SettingsTable, ValuesOf } from '#platform/config/settings.ts';
import { addressOf } from '#platform/database/address.ts';
import type { BackedUpService, Sums } from '#platform/database/backup/take.ts';
import type { Migrations } from '#platform/database/migrate.ts';
import type { Pool } from '#platform/database/pool.ts';
import type { Consumption } from '#platform/messaging/consumption.ts';
import { BACKED_UP_MESSAGES } from '#platform/messaging/migrations.ts';
import type { Topic } from '#platform/messaging/topic.ts';
import type { CommandTools } from './commands.ts';
import type {
  DatabaseSettings,
  DatabaseTools,
  ListenSettings,
  ServiceTools,
  StartedPlainService,
  StartedService,
} from './tools.ts';

interface About<Name extends string, Own extends SettingsTable> {
  /** As in `trunkline serve NAME`; also the name of its schema. */
  readonly name: Name;
  /** What it is for, as a help text says it. */
  readonly purpose: string;
  /** What its OpenAPI document says of it. */
  readonly description: string;
  /** Where it listens unless `NAME_PORT` is set. A service that has none does not run by itself. */
  readonly port?: number;
  /** Its own settings: `greeting` is `NAME_GREETING` in the environment. */
  readonly settings?: Own;
  /** Settings of it that are of no use without others. */
  readonly settingNeeds?: readonly SettingNeed[];
  /** Headers of its answers that pages may read. */
  readonly exposedHeaders?: readonly string[];
  /** Commands of the program that belong to it, by name. */
  readonly commands?: Readonly<Record<string, MakeCommand>>;
}

/** Makes a command of a service, which says itself what its tools hold; what it runs is imported then. */
// biome-ignore lint/suspicious/noExplicitAny: a list holds services with different tools; each is checked where it is defined
type MakeCommand = (tools: CommandTools<any>) => Promise<Command>;

/** What a service shows to whoever starts the program for the first time. */
export interface FirstSteps {
  /**
   * Fills empty tables with a sample.
   * @param now wall-clock milliseconds since 1970
   * @returns what it did, in words; undefined: they were not empty
   */
  fill(pool: Pool, now: number): Promise<string | undefined>;
  /** A request to begin with. */
  example(pool: Pool): Promise<{ readonly what: string; readonly path: string }>;
}

/**
 * A service that owns tables.
 * `Given` is what `system.ts` gives it beside what every service is given.
 */
export interface DatabaseServiceDefinition<Name extends string, Own extends SettingsTable, Given>
  extends About<Name, Own> {
  readonly migrations: Migrations;
  /** Sums over its tables that must be the same after a restore. */
  readonly sums?: readonly Sums[];
  /** What it tells others, and what it gives them to do. */
  readonly publishes?: readonly Topic[];
  /** What it hears of, and what it takes; its start gives a handler for each. */
  readonly consumes?: readonly Consumption[];
  /** For `trunkline up`. */
  readonly firstSteps?: () => Promise<FirstSteps>;
  /** What a running service goes on to do with rows from before the migrations, in words; undefined: nothing. */
  readonly leftToRepair?: (pool: Pool) => Promise<string | undefined>;
  /**
   * Makes what the service consists of, once its database answers. Left out: nothing of it runs by itself.
   */
  start?(tools: DatabaseTools<DatabaseSettings & ValuesOf<Own>> & Given): Promise<StartedService>;
}

/** A service without tables. */
export interface PlainServiceDefinition<Name extends string, Own extends SettingsTable, Given>
  extends About<Name, Own> {
  readonly migrations?: undefined;
  readonly sums?: undefined;
  readonly publishes?: undefined;
  readonly consumes?: undefined;
  readonly firstSteps?: undefined;
  readonly leftToRepair?: undefined;
  start(tools: ServiceTools<ListenSettings & ValuesOf<Own>> & Given): Promise<StartedPlainService>;
}

// biome-ignore lint/suspicious/noExplicitAny: a list holds services with different settings; each is checked where it is defined
export type AnyDatabaseService = DatabaseServiceDefinition<string, any, any>;
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyPlainService = PlainServiceDefinition<string, any, any>;
export type AnyService = AnyDatabaseService | AnyPlainService;

/** Gives a definition back, with its type checked. */
export function defineService<
  const Name extends string,
  const Own extends SettingsTable = Record<never, never>,
  Given = unknown,
>(definition: DatabaseServiceDefinition<Name, Own, Given>): DatabaseServiceDefinition<Name, Own, Given>;
export function defineService<
  const Name extends string,
  const Own extends SettingsTable = Record<never, never>,
  Given = unknown,
>(definition: PlainServiceDefinition<Name, Own, Given>): PlainServiceDefinition<Name, Own, Given>;
export function defineService(definition: AnyService): AnyService {
  return definition;
}

/** The migrations in the folder `migrations` beside a service's file. @param url the file's: import.meta.url */
export const migrationsBeside = (url: string, schema: string): Migrations => ({
  schema,
  folder: fileURLToPath(new URL('./migrations', url)),
});

/** The schemas of services, in the order in which they are brought up to date: that of their messages first. */
export const schemasOf = (services: readonly AnyService[]): Migrations[] =>
  backedUpOf(services).map(({ migrations }) => migrations);

/** What of services is in a back-up: all their tables, and their messages. */
export const backedUpOf = (services: readonly AnyService[]): BackedUpService[] => {
  const own = tabledOf(services).map(({ migrations, sums = [] }) => ({ migrations, sums }));
  return own.length > 0 ? [BACKED_UP_MESSAGES, ...own] : [];
};

/** The services with tables. */
export const tabledOf = (services: readonly AnyService[]): AnyDatabaseService[] =>
  services.filter((service): service is AnyDatabaseService => service.migrations !== undefined);

/** Services with tables, by the database that they stand on. @param urlOf where a service's is */
export function byDatabase(
  services: readonly AnyService[],
  urlOf: (service: string) => string,
): { readonly url: string; readonly services: readonly AnyDatabaseService[] }[] {
  const groups = Map.groupBy(tabledOf(services), ({ name }) => addressOf(urlOf(name)));
  return [...groups.values()].map((group) => ({ url: urlOf(group[0]!.name), services: group }));
}

/** The services that run, each at an address of its own. */
export const runningOf = (services: readonly AnyService[]): AnyService[] =>
  services.filter(({ start }) => start !== undefined);
