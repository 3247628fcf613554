/**
 * Limits of guessing. A try to sign in is counted for the account and for the client's address; the more have failed, the longer the
 * next one has to wait. An account that does not exist is counted alike, so the limit tells nobody who is a customer.
 *
 * Strangers can't lock a person out: on a device where the person has signed in before, tries are counted for that device alone.
 * On a new device the person waits for the account's limit at most, which is short.
 */
import { createHmac } from 'node:crypto';

export interface TryLimit {
  /** So many tries may fail before the first wait. */
  readonly free: number;
  /** The first wait; each further one is twice as long, up to the longest. */
  readonly firstWaitS: number;
  readonly longestWaitS: number;
  /** So long after the last try, all are forgotten. */
  readonly forgottenS: number;
}

const HOUR_S = 3_600;

export const TRY_LIMITS = {
  /** One address, whatever the accounts: lists of stolen passwords. */
  address: { free: 50, firstWaitS: 10, longestWaitS: 300, forgottenS: HOUR_S },
  /** One account from one address: guessing. */
  accountAtAddress: { free: 5, firstWaitS: 30, longestWaitS: 900, forgottenS: HOUR_S },
  /** One account from everywhere but known devices: guessing from many addresses. */
  account: { free: 30, firstWaitS: 10, longestWaitS: 60, forgottenS: HOUR_S },
  /** One account on one known device. */
  device: { free: 10, firstWaitS: 30, longestWaitS: 900, forgottenS: HOUR_S },
  /** Passwords and codes that a signed-in person is asked for again. */
  person: { free: 10, firstWaitS: 30, longestWaitS: 900, forgottenS: HOUR_S },
} as const satisfies Record<string, TryLimit>;

/** One count, with its limit. */
export interface Bucket {
  readonly key: Buffer;
  readonly limit: TryLimit;
  /** Whether a success clears it; otherwise a success takes back its own try alone. */
  readonly cleared: boolean;
}

export interface SignInTry {
  /** In lower case. */
  readonly email: string;
  /** The client's address, as platform/http/client_address.ts counts it. */
  readonly address: string;
  /** The hash of the device, where the person has signed in on it before. */
  readonly device?: Buffer | undefined;
}

/**
 * The counts of a try, always in the same order, so that tries at once can't lock each other.
 * @param secret keys the hashes: the table names no account and no address
 */
export function bucketsOf({ email, address, device }: SignInTry, secret: Buffer): Bucket[] {
  const bucket = (kind: keyof typeof TRY_LIMITS, cleared: boolean, ...of: string[]): Bucket => ({
    key: keyOf(secret, kind, ...of),
    limit: TRY_LIMITS[kind],
    cleared,
  });
  if (device) return [bucket('device', true, email, device.toString('hex'))];
  return [
    addressBucket(address, secret),
    bucket('accountAtAddress', true, email, address),
    bucket('account', false, email),
  ];
}

/** The count of an address alone. */
export const addressBucket = (address: string, secret: Buffer): Bucket => ({
  key: keyOf(secret, 'address', address),
  limit: TRY_LIMITS.address,
  cleared: false,
});

/** The count of a person who is signed in. */
export const personBucket = (userId: string, secret: Buffer): Bucket => ({
  key: keyOf(secret, 'person', userId),
  limit: TRY_LIMITS.person,
  cleared: true,
});

function keyOf(secret: Buffer, ...parts: string[]): Buffer {
  return createHmac('sha256', secret)
    .update(JSON.stringify(['tries', ...parts]))
    .digest();
}
