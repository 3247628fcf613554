/** A connection for health checks alone, so that a check neither waits for the pool nor takes a request's place. */
import pg, { type ClientBase } from 'pg';
import { isConnectionLost } from '#platform/resilience/failure_rule.ts';
import { type ConnectionLifetime, renewalTime } from './connection_lifetime.ts';
import { destroyConnection } from './pg_internals.ts';
import { typeParsers } from './types.ts';

export interface Probe {
  /**
   * Connects where that is needed and asks; rejects when PostgreSQL does not answer or `signal` is aborted.
   * @param anew on a new connection in any case: what hangs behind an old one tells nothing of those to come
   */
  check(signal: AbortSignal, anew: boolean): Promise<void>;
  close(): void;
}

/** @param ask what is asked; `SELECT 1` unless told otherwise */
export function createProbe(
  url: string,
  applicationName: string,
  lifetime: ConnectionLifetime,
  ask: (client: ClientBase) => Promise<void> = async (client) => void (await client.query('SELECT 1')),
): Probe {
  let client: pg.Client | undefined;
  let renewAt = 0;

  const drop = () => {
    const dropped = client;
    client = undefined;
    if (dropped) destroyConnection(dropped);
  };

  async function connectAndAsk(): Promise<void> {
    if (client && lifetime.clock.monotonic() >= renewAt) drop();
    if (!client) {
      renewAt = renewalTime(lifetime);
      const made = new pg.Client({
        connectionString: url,
        application_name: applicationName,
        types: typeParsers,
      });
      client = made;
      // A broken connection shows at the next check; an event without a listener would end the process.
      made.on('error', () => client === made && drop());
      await made.connect();
    }
    await ask(client);
  }

  return {
    check: async (signal, anew) => {
      if (anew) drop();
      signal.addEventListener('abort', drop, { once: true });
      try {
        await connectAndAsk().catch((error) => {
          drop();
          // A lost connection tells of a bouncer, say; only a second one that is lost at once tells of the database.
          if (signal.aborted || !isConnectionLost(error)) throw error;
          return connectAndAsk();
        });
      } catch (error) {
        drop();
        throw signal.aborted ? signal.reason : error;
      } finally {
        signal.removeEventListener('abort', drop);
      }
    },
    close: drop,
  };
}
