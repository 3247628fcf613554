/** A service's server as those see it who report on it. */
import type { Replica } from './database.ts';

export interface WatchedServer extends Replica {
  /** keys: of another database, where keys are looked up. */
  readonly role: 'primary' | 'replica' | 'keys';
}

/** Seconds; null for a primary, and where nobody knows: how far a replica is behind that does not answer can't be told. */
export const shownLag = ({ server, lagS }: WatchedServer): number | null =>
  server.monitor.status.healthy ? lagS : null;
