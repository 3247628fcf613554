/** What a command of a service works with. The choice of a database and the settings are the program's business. */
import type { Pool } from '#platform/database/pool.ts';

export interface CommandDatabase {
  /** On the database of the command's service; of the program's own commands, of the service that they are about. */
  readonly pool: Pool;
  /** On the database of a service. */
  poolOf(service: string): Pool;
  readonly url: string;
  /** Aborted by the first signal that asks the command to end. */
  readonly ending: AbortSignal;
}

export interface DatabaseUse {
  /** Whose database is meant. */
  readonly service?: string;
  /** `work` runs until it is asked to end, and ends well then: the first signal only aborts `ending`. */
  readonly endsItself?: boolean;
  /** By whatever migrations have run, and perhaps empty: otherwise it is brought up to date. */
  readonly asItIs?: boolean;
}

/** `Parts` are the service's settings, and what `system.ts` gives its commands beside them. */
export interface CommandTools<Parts> {
  /**
   * For a command that runs: help must not need settings that are right.
   * @throws ConfigError naming all that is wrong with them
   */
  parts(): Parts;
  /** Runs `work` on the program's database. A signal that asks the command to end closes its connections. */
  withDatabase<T>(work: (database: CommandDatabase) => Promise<T>, use?: DatabaseUse): Promise<T>;
}
