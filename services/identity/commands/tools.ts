/** What the commands of this service work with. */
import type { Pool } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import type { CommandTools } from '#platform/service/commands.ts';
import type { KeyPlaces } from '../keys.ts';

export interface IdentityCommandParts {
  /** Where keys are kept. @param callsPool where calls stand on another database */
  keyPlaces(pool: Pool, callsPool: Pool): KeyPlaces;
  /** @throws Error when no account has this code */
  accountWithCode(session: Session, code: string): Promise<{ readonly i_account: number }>;
}

export type IdentityTools = CommandTools<IdentityCommandParts>;
