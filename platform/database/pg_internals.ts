/**
 * All that is used of pg beyond what its documentation promises and its types know. pg_internals.test.ts asks a real
 * connection for each of these, so that a new version of pg that does without one fails there, by name.
 */
import type { Socket } from 'node:net';
import pg, { type ClientBase } from 'pg';

/** pg's Connection, as far as it is needed here. */
export interface Connection {
  readonly stream: Socket;
  sendCopyFail(message: string): void;
  sync(): void;
}

/** What a client wants of a query that is not its own. Each is called once the query's turn has come. */
export interface Submittable {
  /** Sends the query; gives the error for which it cannot. */
  submit(connection: Connection): Error | undefined;
  /** The server's error, the query_timeout of the client, or that the connection is lost. */
  handleError(error: unknown): void;
  handleReadyForQuery(): void;
  handleCopyInResponse(connection: Connection): void;
  /** Set by client.query() where the client has a query_timeout: stops it. */
  callback?: () => void;
}

/** What a client knows of itself. */
interface ClientInternals {
  readonly connection: Connection;
  /** By which the server knows the connection. */
  readonly processID: number | null;
  readonly secretKey: number;
  readonly host: string;
  readonly port: number;
  /** The server waits for the next query. */
  readonly readyForQuery: boolean;
}

const internalsOf = (client: ClientBase): ClientInternals => client as unknown as ClientInternals;

/** The socket to the server. While no query of ours runs, pg alone listens to its data. */
export const socketOf = (client: ClientBase): Socket => internalsOf(client).connection.stream;

/** Ends a connection at once: `end()` would wait for a server that may be frozen. */
export const destroyConnection = (client: ClientBase, reason?: Error): void =>
  void socketOf(client).destroy(reason);

/** Whom to ask to cancel what a connection runs, and which connection is meant. */
export type CancelTarget = Pick<ClientInternals, 'host' | 'port' | 'secretKey'> & {
  readonly processID: number;
};
export const cancelTarget = (client: ClientBase): CancelTarget => client as unknown as CancelTarget;

/** The process that introduced itself when the connection began; null where none did. */
export const processOf = (client: ClientBase): number | null => internalsOf(client).processID;

/** Whether no statement runs. (Whether a transaction is open: client.getTransactionStatus().) */
export const isReadyForQuery = (client: ClientBase): boolean => internalsOf(client).readyForQuery;

/** Puts a query behind those that the client has. */
export const submit = (client: ClientBase, query: Submittable): void => void client.query(query as never);

/** What client.query() makes of a JavaScript value that is a parameter. */
export const { prepareValue } = (
  pg as unknown as { utils: { prepareValue: (value: unknown) => string | Buffer | null } }
).utils;

/** The settings by which a pool makes its next connection; what is changed in them counts from then on. */
export const settingsOf = (pool: pg.Pool): { statement_timeout?: number } =>
  (pool as unknown as { options: { statement_timeout?: number } }).options;
