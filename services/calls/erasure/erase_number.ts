/** Erases a telephone number from all stored data: a pseudonym replaces it, and all sums stay. */
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { type Pool, withRepeatedTransaction, withSession } from '#platform/database/pool.ts';
import { createNumberReader, type NormalizedNumber } from '../numbers.ts';
import { ERASED_HEARD_MS, forgetHeard } from '../pseudonyms/erased.ts';
import { makePseudonyms } from '../pseudonyms/pseudonyms.ts';
import { scrubNumbers } from '../pseudonyms/scrub_numbers.ts';
import { type Actor, noteAudit } from '../store/audit.ts';
import { beginErasure, codesLike, finishErasure, forgetErasure, listCountries } from '../store/erasures.ts';
import { type TableCounts, type WalkOptions, type WalkProgress, walkTables } from './walk.ts';

/** Rows in which a search for the number's digits finds nothing: escapes, other digits, base64. */
const HARD_TO_READ = String.raw`%[0-9A-Fa-f]{2}|&#|\\|=[0-9A-F]{2}|U[+]|[^\x01-\x7f]|[MNO][DTjz][AEIMQUYcgk][w-z0-5]`;
/** The part that every way of writing a number contains, with anything between the digits. */
const LAST_DIGITS = 7;
/** A row that another process changes may move to pages that were already read; a further pass finds it. */
const MOST_PASSES = 5;

export interface EraseOptions {
  readonly by: Actor;
  /** Of all services on the server: every table with an i_account or texts is walked. */
  readonly schemas: readonly string[];
  /** False: nothing is changed, rows are counted. */
  readonly apply: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: (progress: WalkProgress) => void;
  /** How long other processes need to learn of the erasure. A parameter for tests. */
  readonly heardMs?: number;
}

export interface ErasedNumber {
  readonly pseudonym: string;
  /** Rows that hold it in some text, by table. */
  readonly counts: TableCounts;
}

/**
 * @param written E.164
 * @throws Error when it is no such number, or is the code of an account
 */
export async function eraseNumber(pool: Pool, written: string, options: EraseOptions): Promise<ErasedNumber> {
  const target = readTarget(written);
  await refuseCode(pool, target);
  const { by, apply, signal, onProgress } = options;
  if (!apply) {
    const pseudonym = 'unknown in a dry run';
    return { pseudonym, counts: await walkTables(pool, walkOf(target, pseudonym, null, options)) };
  }
  const begun = await withRepeatedTransaction(pool, async (session) => {
    const pseudonym = (await makePseudonyms(session)).ofNumber(target.number, target.country);
    const erasure = (await session.row(beginErasure('number', pseudonym)))!;
    await session.run(noteAudit(by, { action: 'numbers.erase.begin', subject: `number ${pseudonym}` }));
    return erasure;
  });
  const { pseudonym } = begun;
  forgetHeard(pool);
  await sleep(options.heardMs ?? ERASED_HEARD_MS + 1_000, undefined, { signal });
  let { place } = begun;
  for (let pass = 1; pass <= MOST_PASSES; pass++) {
    const changed = await walkTables(pool, walkOf(target, pseudonym, place, { ...options, onProgress }));
    if (place === null && Object.keys(changed).length === 0) break;
    place = null;
  }
  return withRepeatedTransaction(pool, async (session) => {
    const { counts } = (await session.row(finishErasure('number', pseudonym)))!;
    await session.run(
      noteAudit(by, { action: 'numbers.erase', subject: `number ${pseudonym}`, detail: { rows: counts } }),
    );
    return { pseudonym, counts };
  });
}

/** From now on rows of the number are stored unchanged. @returns false where the number was not erased */
export function allowNumber(pool: Pool, written: string, by: Actor): Promise<boolean> {
  const target = readTarget(written);
  return withRepeatedTransaction(pool, async (session) => {
    const pseudonym = (await makePseudonyms(session)).ofNumber(target.number, target.country);
    if ((await session.run(forgetErasure('number', pseudonym))) === 0) return false;
    await session.run(noteAudit(by, { action: 'numbers.allow', subject: `number ${pseudonym}` }));
    return true;
  });
}

function readTarget(written: string): NormalizedNumber {
  const read = createNumberReader().read(written, null);
  if (/^\+\d+$/.test(read.number)) return read;
  throw new Error(`"${written}" is no telephone number in E.164, such as +493023125001`);
}

/** Rows name their account by its code: without the code their account could not be found. */
async function refuseCode(pool: Pool, { number }: NormalizedNumber): Promise<void> {
  const { codes, countries } = await withSession(pool, async (session) => ({
    codes: await session.rows(codesLike(number.slice(-LAST_DIGITS))),
    countries: (await session.rows(listCountries())).map(({ country }) => country),
  }));
  const reader = createNumberReader();
  const called = codes.find(({ code }) =>
    countries.some((country) => reader.read(code, country).number === number),
  );
  if (called)
    throw new Error(
      `account ${called.i_account} is or was called by this number: erase the account, or rename it and make its former code another's`,
    );
}

function walkOf(
  { number, country }: NormalizedNumber,
  pseudonym: string,
  place: WalkOptions['place'],
  { schemas, apply, signal, onProgress }: EraseOptions,
): WalkOptions {
  const last = `%${number.slice(-LAST_DIGITS)}%`;
  return {
    kind: 'number',
    schemas,
    pseudonym,
    near: sql`regexp_replace(held.text, '[^0-9]', '', 'g') LIKE ${last} OR held.text ~ ${HARD_TO_READ}`,
    scrub: (countries) =>
      // A number without an account is also read by the rules of its own country.
      scrubNumbers(countries.length > 1 ? [...new Set([...countries, country])] : countries, (found) =>
        found === number ? pseudonym : undefined,
      ),
    place,
    apply,
    signal,
    onProgress,
  };
}
