/**
 * SCRAM-SHA-256 secrets in PostgreSQL's format (RFC 5803, RFC 7677): PgBouncer's user list and CREATE ROLE … PASSWORD
 * accept them instead of the password itself.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

/** PostgreSQL's default; a client does this much work at each log-in, a server with the secret does not. */
const ITERATIONS = 4_096;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** Deriving the salt must cost an attacker as much as a password try, or the salt would give weak passwords away. */
const SALT_ITERATIONS = 100_000;

export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** The keys of RFC 5802, section 3. The password must be ASCII (no SASLprep is done). */
export function scramKeys(password: string, salt: Buffer, iterations: number): ScramKeys {
  const salted = pbkdf2Sync(password, salt, iterations, KEY_BYTES, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  return {
    clientKey,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  };
}

/**
 * The stored secret, `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`. The same user and password always
 * give the same text: PgBouncer can only log in to PostgreSQL with a secret equal to the one stored there, also when
 * the configuration is made a second time.
 */
export function scramSecret(user: string, password: string): string {
  const salt = pbkdf2Sync(password, `trunkline salt of ${user}`, SALT_ITERATIONS, SALT_BYTES, 'sha256');
  const { storedKey, serverKey } = scramKeys(password, salt, ITERATIONS);
  const text = (bytes: Buffer) => bytes.toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${text(salt)}$${text(storedKey)}:${text(serverKey)}`;
}
