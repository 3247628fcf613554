/**
 * Statements that a connection knows by name: PostgreSQL reads and plans them once and only runs them from then on. For
 * a page of calls the planning is nearly half of its work.
 *
 * That takes a connection that leads to PostgreSQL itself: of the bouncers the older ones know no names, and newer ones
 * may lose an answer over them (docs/decisions/0009). A name is made of the statement's text, so that it stands for that
 * statement wherever it may end up.
 */
import { hash } from 'node:crypto';
import pg, { type ClientBase } from 'pg';
import { processOf } from '../pg_internals.ts';
import type { Column } from './row_columns.ts';
import type { ResultFormat } from './wire_messages.ts';

/** Statements that a connection keeps; for each the server holds a plan, of some 100 kB where it is of many partitions. */
export const NAMES_PER_CONNECTION = 20;

/** A statement's name on one connection. */
export interface StatementName {
  readonly name: string;
  /** The server knows it: its text need not be sent. */
  parsed: boolean;
  /** Of its rows, once the server has told them. */
  columns: readonly Column[] | undefined;
}

export interface StatementNames {
  /** What to call a statement from now on. The forms of its columns are part of it: what is known of them goes by it. */
  nameOf(sql: string, formats?: readonly ResultFormat[]): StatementName;
  /** Names that the server is to forget: taken back for others, and told but once. */
  takeForgotten(): readonly string[];
}

/** What is known of connections; null: no names. */
const namesOf = new WeakMap<ClientBase, StatementNames | null>();

/** Asked once a connection, together with its first statements. */
export const WHO_ANSWERS = 'SELECT pg_backend_pid() AS pid';

/** Whether it is known who answers a connection. */
export const isPoolerKnown = (client: ClientBase): boolean => namesOf.has(client);

/**
 * A connection has names where the process that answers is the one that introduced itself when it began: a bouncer gives
 * its clients a number of its own, by which they may cancel.
 * @param pid the answer to WHO_ANSWERS
 */
export function detectPooler(client: ClientBase, pid: number): void {
  namesOf.set(client, processOf(client) === pid ? createNames() : null);
}

/** @returns undefined where a connection has none */
export const namesOn = (client: ClientBase): StatementNames | undefined => namesOf.get(client) ?? undefined;

/** From now on this connection's statements have no names. */
export const disablePreparedStatements = (client: ClientBase): unknown => namesOf.set(client, null);

function createNames(): StatementNames {
  /** By SQL and formats; those that were used last stand last. */
  const known = new Map<string, StatementName>();
  let forgotten: string[] = [];
  return {
    nameOf(sql, formats) {
      const key = formats ? `${sql} -- ${formats.join('')}` : sql;
      const name = known.get(key) ?? { name: nameFor(key), parsed: false, columns: undefined };
      known.delete(key);
      known.set(key, name);
      if (known.size > NAMES_PER_CONNECTION) {
        const [oldest, dropped] = known.entries().next().value!;
        known.delete(oldest);
        if (dropped.parsed) forgotten.push(dropped.name);
      }
      return name;
    },
    takeForgotten() {
      const names = forgotten;
      if (names.length > 0) forgotten = [];
      return names;
    },
  };
}

const nameFor = (key: string) => `trunkline_${hash('sha256', key, 'hex').slice(0, 32)}`;

/** As PostgreSQL answers where it does not know a name, knows it already, or its table has other columns by now. */
const NAME_ERRORS = ['26000', '42P05'];
const FEATURE_NOT_SUPPORTED = '0A000';

/** Whether a statement failed for its name: without one it can be run again, nothing of it was done. */
export function isNameRefused(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  const { code = '', routine } = error;
  // "cached plan must not change result type"
  return (
    NAME_ERRORS.includes(code) || (code === FEATURE_NOT_SUPPORTED && routine === 'RevalidateCachedQuery')
  );
}
