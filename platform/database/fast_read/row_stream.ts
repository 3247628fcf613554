/**
 * Rows as PostgreSQL sends them, handed to a writer before any JavaScript value is made of them.
 *
 * pg makes a string of every value and an object of every row. A page of calls is then printed again, and that is where
 * most of its time goes. Here a query borrows the connection's socket from pg while its answer comes in: rows go to the
 * sink; what the client must know of (errors, notices, settings) goes to pg as whole messages; with ReadyForQuery the
 * socket goes back. To pg it is a Submittable, as pg-cursor is, and waits its turn like any query.
 */
import type { Socket } from 'node:net';
import type { ClientBase } from 'pg';
import { type Clock, systemClock } from '#platform/lifecycle/clock.ts';
import { freeMemory } from '../byte_output.ts';
import { CANCEL_LIMIT_MS, type Cancelling, cancelStatement } from '../cancel_request.ts';
import { type Submittable, submit } from '../pg_internals.ts';
import { namesOn, type StatementName } from './named_statements.ts';
import { type Column, readColumns } from './row_columns.ts';
import {
  createSplitter,
  type Execution,
  encodeStatements,
  HEADER_BYTES,
  MESSAGE,
  type ResultFormat,
} from './wire_messages.ts';

/**
 * What Node reads from a socket at once. Where it is so much, more lies there, and up to 32 such pieces would be read and
 * worked on before anything else gets its turn.
 */
const FULL_PIECE_BYTES = 65_536;

/** SQL and its parameters; Kysely's compiled queries are such. */
export interface RowQuery {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  /**
   * Of each column, in their order, where some are not to come as text but in binary form, in which a timestamptz is read:
   * making its text is the larger part of what it costs PostgreSQL.
   */
  readonly formats?: readonly ResultFormat[] | undefined;
  /** Asked over and over with the same text: where the connection may, it is planned once (named_statements.ts). */
  readonly prepared?: boolean;
}

/** Takes rows. What it throws ends the query. */
export interface RowSink {
  /**
   * Before the first row. Not called where there can be no rows (an INSERT without RETURNING). Called once more where
   * the statement is run anew: what came before then counts for nothing.
   */
  columns(columns: readonly Column[]): void;
  /**
   * One row, from its number of columns at `at` up to `end`: for each column its length (-1: null) and its
   * value in the form that was asked for.
   * The memory behind `view` is gone after the next pieceEnd.
   */
  row(view: DataView<ArrayBuffer>, at: number, end: number): void;
  /** What came in one piece has been given; its memory goes now. */
  pieceEnd?(): void;
}

type OnData = (chunk: Buffer) => void;

/** A statement and what takes its rows. */
interface StreamPart {
  readonly query: RowQuery;
  readonly sink: RowSink;
}

/** A statement and what its rows become. */
export interface DecodedQuery<T> extends StreamPart {
  /** What has become of the rows, once all have come. */
  answer(): T;
}

/**
 * Runs statements on `client`, one behind the other in one transaction, and gives the rows of each to its sink. They are
 * sent together and wait for each other only in the server: one way there and back for all.
 * @returns how many rows there were. Rejects with pg's DatabaseError, a sink's error, pg's query_timeout, or because the
 * connection was lost. Either way the client is ready for its next query, or it is broken and has emitted 'error' before
 */
export function streamRows(
  client: ClientBase,
  parts: readonly StreamPart[],
  clock: Clock = systemClock,
): Promise<number> {
  let current = 0; // the part whose answer comes in
  let rows = 0;
  let names: readonly (StatementName | undefined)[] = [];
  const { promise: finished, resolve, reject } = Promise.withResolvers<number>();
  let stream: Socket | undefined; // from the moment the query is sent
  let pgListener: OnData | undefined; // pg's own, while the socket is ours
  let failure: { readonly error: unknown } | undefined;
  let pgKnowsError = false; // pg has been given an ErrorResponse
  let forwarding = false; // … and is reading it this moment
  let ready: Buffer | undefined; // ReadyForQuery, once it has come
  let cancelling: Cancelling | undefined;

  /** Takes no more rows and has the server end the query; the rest of its answer is read and dropped. */
  function stop(error: unknown): void {
    failure ??= { error }; // the first is the one to tell: the server's own after a cancel is only its echo
    if (!ready) cancelling ??= cancelStatement(client, clock, CANCEL_LIMIT_MS.rows);
  }

  /** Gives the socket back to pg, and the outcome to the caller. */
  function handBack(): void {
    cancelling?.ended();
    submittable.callback?.();
    if (stream && pgListener) {
      stream.removeListener('data', onData);
      stream.removeListener('close', handBack);
      stream.on('data', pgListener);
    }
    pgListener = undefined;
    if (failure) reject(failure.error);
    else resolve(rows);
  }

  function guarded(give: () => void): void {
    try {
      give();
    } catch (error) {
      stop(error);
    }
  }

  function begin(columns: readonly Column[]): void {
    if (!failure) guarded(() => parts[current]!.sink.columns(columns));
  }

  /** What has come of the current part can be passed on. */
  function giveOn(): void {
    if (!failure) guarded(() => parts[current]?.sink.pieceEnd?.());
  }

  function tellPg(view: DataView<ArrayBuffer>, start: number, end: number): void {
    pgListener?.(Buffer.from(view.buffer, view.byteOffset + start, end - start));
  }

  function onMessage(type: number, view: DataView<ArrayBuffer>, start: number, end: number): boolean {
    switch (type) {
      case MESSAGE.dataRow:
        try {
          // as guarded() does, without a closure for each row
          if (failure) break;
          rows++;
          parts[current]!.sink.row(view, start + HEADER_BYTES, end);
        } catch (error) {
          stop(error);
        }
        break;
      case MESSAGE.rowDescription: {
        guarded(() => {
          const columns = readColumns(view, start, end);
          const name = names[current];
          if (name) name.columns = columns;
          begin(columns);
        });
        break;
      }
      case MESSAGE.parseComplete: {
        const name = names[current];
        if (name) name.parsed = true;
        break;
      }
      case MESSAGE.bindComplete: {
        const columns = names[current]?.columns;
        if (columns) begin(columns);
        break;
      }
      case MESSAGE.commandComplete:
      case MESSAGE.emptyQuery:
        giveOn();
        current++;
        break;
      case MESSAGE.closeComplete:
      case MESSAGE.noData:
      case MESSAGE.copyData:
      case MESSAGE.copyDone:
        break;
      case MESSAGE.copyOutResponse:
        stop(new Error('COPY TO has no rows: run it with pg-copy-streams'));
        break;
      case MESSAGE.error:
        // pg then holds no query for active, and would not tell this one that the connection is lost.
        if (!pgKnowsError) stream?.once('close', handBack);
        pgKnowsError = true;
        forwarding = true;
        tellPg(view, start, end);
        forwarding = false;
        break;
      case MESSAGE.notice:
      case MESSAGE.parameterStatus:
      case MESSAGE.notification:
      case MESSAGE.copyInResponse:
        tellPg(view, start, end);
        break;
      case MESSAGE.readyForQuery:
        cancelling?.ended(); // what was to be cancelled has ended
        ready = Buffer.copyBytesFrom(new Uint8Array(view.buffer, view.byteOffset + start, end - start));
        return false;
      default:
        failure ??= { error: new Error(`unknown message 0x${type.toString(16)} from PostgreSQL`) };
        stream?.destroy();
        return false;
    }
    return true;
  }

  function encode(): Buffer {
    // A name that is refused would spoil a transaction; outside of one the statements can be run once more.
    const known = client.getTransactionStatus() === 'I' ? namesOn(client) : undefined;
    names = parts.map(({ query }) => (query.prepared ? known?.nameOf(query.sql, query.formats) : undefined));
    const executions = parts.map(({ query: { sql, parameters, formats } }, i): Execution => {
      const name = names[i];
      // Of two parts with one statement the first makes it known to the second: PostgreSQL refuses a name given twice.
      const again = name !== undefined && names.indexOf(name) < i;
      return {
        sql,
        parameters,
        formats,
        name: name?.name ?? '',
        parsed: again || name?.parsed === true,
        described: again || name?.columns !== undefined,
      };
    });
    return encodeStatements(executions, known?.takeForgotten() ?? []);
  }

  const split = createSplitter(onMessage);

  function onData(chunk: Buffer): void {
    const { length } = chunk; // its memory is freed below
    const rest = split(chunk);
    giveOn();
    if (length >= FULL_PIECE_BYTES && !ready) restOneTurn();
    // A cancel request that is still on its way would hit the next query.
    if (ready && cancelling) cancelling.sent.then(() => finish(rest));
    else if (ready) finish(rest);
    if (!rest || rest.length === 0) freeMemory(chunk); // no other listener has it, see submit()
  }

  /** Reads on when the event loop has been around, so that a long answer is no long silence to everybody else. */
  function restOneTurn(): void {
    const socket = stream;
    socket?.pause();
    setImmediate(() => socket?.resume());
  }

  /** @param rest what came behind ReadyForQuery */
  function finish(rest: Buffer | undefined): void {
    const listener = pgListener;
    if (!listener || !ready) return; // the connection was lost meanwhile
    handBack();
    listener(ready); // the client's next query may start in here
    if (rest && rest.length > 0) listener(rest);
  }

  const submittable: Submittable = {
    submit(connection) {
      const [listener, ...others] = connection.stream.listeners('data') as OnData[];
      if (!listener || others.length > 0) return new Error('the connection is in use by another stream');
      let message: Buffer;
      try {
        message = encode();
      } catch (error) {
        return error as Error;
      }
      stream = connection.stream;
      pgListener = listener;
      stream.removeListener('data', listener);
      stream.on('data', onData);
      // A socket that is closing says so by 'close', and pg then tells handleError.
      if (stream.writable) stream.write(message);
      return undefined;
    },
    handleError(error) {
      if (forwarding) failure ??= { error };
      else if (stream && !stream.destroyed)
        stop(error); // pg's query_timeout
      else {
        failure ??= { error };
        handBack();
      }
    },
    handleReadyForQuery: () => undefined,
    handleCopyInResponse(connection) {
      connection.sendCopyFail('COPY FROM takes no rows here: run it with pg-copy-streams');
      connection.sync(); // the one sent with the query was skipped by the server
    },
  };

  submit(client, submittable);
  return finished;
}
