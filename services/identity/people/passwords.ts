/**
 * Passwords: hashed by argon2id, and refused where a stranger would guess them.
 *
 * A hash takes about 50 ms of a processor, in one of the few threads that files and name look-ups share. So few are made at once, some
 * requests wait, and further ones are refused at once with 503.
 */
import { availableParallelism } from 'node:os';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createHeavyWork } from '#platform/resilience/heavy_work.ts';
import { RefusedError } from '#platform/resilience/refused.ts';
import { identityError } from '../errors.ts';
import { step } from './request.ts';

export const MIN_PASSWORD_CHARACTERS = 12;
export const MAX_PASSWORD_CHARACTERS = 128;

/** OWASP's first recommendation for argon2id: 19 MiB, two passes, one thread. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** Node has four such threads: one stays free. */
const MOST_AT_ONCE = 3;
/** At 20 a second of each processor, a second or two of waiting. */
const MOST_WAITING = 40;
const RETRY_AFTER_S = 2;

export interface Passwords {
  /** @throws ApiError 503 when too many wait, in any of these */
  hash(password: string): Promise<string>;
  verify(password: string, hash: string): Promise<boolean>;
  /** Refuses all who wait. */
  close(): Promise<void>;
}

/** For one process. To be used within a request (request.ts). */
export function createPasswords(
  clock: Clock,
  atOnce = Math.min(availableParallelism(), MOST_AT_ONCE),
): Passwords {
  const turns = createHeavyWork({ slots: atOnce, limit: MOST_WAITING, clock });
  const inTurn = <T>(work: () => Promise<T>): Promise<T> =>
    step(async (context) => {
      try {
        return await turns.run(context, work);
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        throw identityError('too_many_sign_ins', { retryAfterS: RETRY_AFTER_S, cause: error });
      }
    });
  return {
    hash: (password) => inTurn(() => hashPassword(password)),
    verify: (password, hashed) =>
      inTurn(async () => {
        const { verify } = await import('@node-rs/argon2');
        return verify(hashed, password);
      }),
    close: () => turns.close(),
  };
}

/** For commands, which hash one password. */
export async function hashPassword(password: string): Promise<string> {
  const { hash } = await import('@node-rs/argon2');
  return hash(password, ARGON2ID);
}

/**
 * Why a password can't be taken, in words; undefined: it can. A password is refused that stands in a list of breached ones, as it is,
 * in other case, with other digits and marks around it, or twice.
 * @param about words that a stranger knows of the person, such as the e-mail
 */
export async function passwordFault(password: string, about: readonly string[]): Promise<string | undefined> {
  const { length } = [...password];
  if (length < MIN_PASSWORD_CHARACTERS)
    return `A password has at least ${MIN_PASSWORD_CHARACTERS} characters`;
  if (length > MAX_PASSWORD_CHARACTERS) return `A password has at most ${MAX_PASSWORD_CHARACTERS} characters`;
  const forms = formsOf(password);
  const known = about
    .flatMap((word) => formsOf(word))
    .filter((word) => word.length >= LEAST_KNOWN_CHARACTERS);
  if (forms.some((form) => known.includes(form))) return 'The password is made of the name or the e-mail';
  const breached = await breachedPasswords();
  if (forms.some((form) => breached.has(form)))
    return 'This password, or one much like it, stands in lists of breached passwords; take another one';
  return undefined;
}

const LEAST_KNOWN_CHARACTERS = 4;

/** A password as it is guessed: in small letters, without digits and marks around it, and the half of one that is written twice. */
function formsOf(password: string): string[] {
  const small = password.toLowerCase();
  const stem = small.replace(/^[^\p{L}]+/u, '').replace(/[^\p{L}]+$/u, '');
  const of = [small, stem].filter((form) => form !== '');
  const halves = of.flatMap((form) => {
    const half = form.slice(0, form.length / 2);
    return half !== '' && half + half === form ? [half] : [];
  });
  return [...of, ...halves];
}

let loaded: Promise<ReadonlySet<string>> | undefined;

/** Loaded when the first password is chosen: 49,000 words. */
function breachedPasswords(): Promise<ReadonlySet<string>> {
  loaded ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set(dictionary['passwords-common'].map(String)),
  );
  return loaded;
}
