/**
 * What was erased does not come back with a file that is read again: rows of an erased account are set aside without their
 * bytes, and in rows of calls that began before a number was erased its pseudonym takes its place, so that they are known again as the
 * calls that they are. What was erased is known by pseudonyms alone, so each number and code of a row is made into one.
 */
import { type Pool, withSession } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { tidyCode } from '../account_codes.ts';
import type { SourceRecord } from '../cdr.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { listCountries, listErasures } from '../store/erasures.ts';
import { findPseudonyms, type Pseudonyms } from './pseudonyms.ts';
import { scrubBytes } from './scrub_bytes.ts';
import { type PseudonymOf, type Scrub, scrubNumbers } from './scrub_numbers.ts';

export interface Erased {
  /** Whether a code is that of an account that was erased. */
  isCode(code: string): boolean;
  /**
   * The row as it may be taken in; itself, mostly.
   * @param country of its account; undefined: it has none
   */
  cleaned(taken: ParsedRow, country: string | null | undefined): ParsedRow;
}

export const NOTHING_ERASED: Erased = { isCode: () => false, cleaned: (taken) => taken };

/** Every process heeds an erasure within this time. */
export const ERASED_HEARD_MS = 5_000;
const KEPT_ANSWERS = 20_000;
/** What stands around values in rows of any format. */
const BETWEEN_VALUES = /["',;|<>{}[\]\s\p{Cc}]+/u;

const heard = new WeakMap<Pool, { readonly at: number; readonly erased: Promise<Erased> }>();

/** What was erased, as it was known at most ERASED_HEARD_MS ago. */
export function erasedOf(pool: Pool): Promise<Erased> {
  const known = heard.get(pool);
  const now = performance.now();
  if (known && now - known.at < ERASED_HEARD_MS) return known.erased;
  const erased = withSession(pool, readErased);
  heard.set(pool, { at: now, erased });
  erased.catch(() => heard.delete(pool));
  return erased;
}

/** For who has erased something, or is about to. */
export const forgetHeard = (pool: Pool): boolean => heard.delete(pool);

export async function readErased(session: Session): Promise<Erased> {
  const erasures = await session.rows(listErasures());
  if (erasures.length === 0) return NOTHING_ERASED;
  const pseudonyms = (await findPseudonyms(session))!;
  const countries = (await session.rows(listCountries())).map(({ country }) => country);
  return erasedBy(pseudonyms, erasures, countries);
}

interface Erasure {
  readonly kind: 'code' | 'number';
  readonly pseudonym: string;
  readonly begun_at: string;
}

function erasedBy(
  pseudonyms: Pseudonyms,
  erasures: readonly Erasure[],
  countries: readonly (string | null)[],
): Erased {
  const codes = new Set(erasures.filter(({ kind }) => kind === 'code').map(({ pseudonym }) => pseudonym));
  const numbers = new Map(
    erasures
      .filter(({ kind }) => kind === 'number')
      .map(({ pseudonym, begun_at }) => [pseudonym, Date.parse(begun_at)]),
  );
  const lastBegun = Math.max(0, ...numbers.values());
  const ofCode = kept((code) => pseudonyms.ofCode(code));
  const ofNumber = kept((key) => {
    const [number, country] = key.split(' ') as [string, string];
    return pseudonyms.ofNumber(number, country === '' ? null : country);
  });
  const isCode = (code: string) => codes.size > 0 && code !== '' && codes.has(ofCode(tidyCode(code)));

  /** @param startTime of the call, milliseconds since 1970; -Infinity: not known */
  const scrubOf = (ofCountries: readonly (string | null)[], startTime: number): Scrub => {
    const pseudonymOf: PseudonymOf = (number, country) => {
      const pseudonym = ofNumber(`${number} ${country ?? ''}`);
      return startTime < (numbers.get(pseudonym) ?? -Infinity) ? pseudonym : undefined;
    };
    return scrubNumbers(ofCountries, pseudonymOf);
  };
  const namesCode = (text: string) => codes.size > 0 && text.split(BETWEEN_VALUES).some(isCode);

  return {
    isCode,
    cleaned(taken, country) {
      const { parsed, row } = taken;
      if (parsed.kind === 'record' && country !== undefined) {
        if (parsed.record.startTime >= lastBegun) return taken;
        const scrub = scrubOf([country], parsed.record.startTime);
        const record = scrubRecord(parsed.record, scrub);
        if (record === parsed.record) return taken;
        return {
          ...taken,
          parsed: { kind: 'record', record },
          row: { ...row, bytes: scrubBytes(row.bytes, scrub) },
        };
      }
      const bytes = row.bytes;
      if (parsed.kind === 'record' ? isCode(parsed.record.accountCode) : namesCode(bytes.toString()))
        return ofErasedAccount(taken);
      if (numbers.size === 0) return taken;
      const scrub = scrubOf(countries, -Infinity);
      const clean = scrubBytes(bytes, scrub);
      if (parsed.kind === 'record' || clean === bytes)
        return clean === bytes ? taken : { ...taken, row: { ...row, bytes: clean } };
      const { reason, ...rejection } = parsed.rejection;
      return {
        ...taken,
        row: { ...row, bytes: clean },
        parsed: { kind: 'rejected', rejection: { ...rejection, reason: scrub(reason) } },
      };
    },
  };
}

/** One row of a source tells of all: it has no bytes, and so the same content. */
function ofErasedAccount(taken: ParsedRow): ParsedRow {
  return {
    ...taken,
    row: { ...taken.row, bytes: Buffer.alloc(0), cut: true },
    parsed: {
      kind: 'rejected',
      rejection: {
        code: 'erased_account',
        reason:
          'The account was erased, and so its rows are left out, all those of a source as one; `trunkline accounts create CODE` makes it anew, and they are taken in where the file is imported again; else: `trunkline import rejected discard --code erased_account --reason …`',
        field: 'account',
      },
    },
  };
}

/** Texts of a record by which it is known: they are kept as hashes only. */
const HASHED = new Set(['identity', 'alsoSays', 'wholeRow', 'accountCode']);

function scrubRecord(record: SourceRecord, scrub: Scrub): SourceRecord {
  const changed: Record<string, string> = {};
  for (const [field, text] of Object.entries(record)) {
    if (typeof text !== 'string' || text === '' || HASHED.has(field)) continue;
    const clean = scrub(text);
    if (clean !== text) changed[field] = clean;
  }
  const attributes = Object.entries(record.attributes);
  const cleaned = attributes.map(([name, value]) => [scrub(name), scrub(value)] as const);
  const isSame = cleaned.every(
    ([name, value], index) => name === attributes[index]![0] && value === attributes[index]![1],
  );
  if (isSame && Object.keys(changed).length === 0) return record;
  return { ...record, ...changed, ...(!isSame && { attributes: Object.fromEntries(cleaned) }) };
}

/** Answers of a function, so many of them. */
function kept(answer: (text: string) => string): (text: string) => string {
  let answers = new Map<string, string>();
  return (text) => {
    const known = answers.get(text);
    if (known !== undefined) return known;
    if (answers.size >= KEPT_ANSWERS) answers = new Map();
    const found = answer(text);
    answers.set(text, found);
    return found;
  };
}
