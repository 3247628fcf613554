/**
 * Phone numbers: what a switch wrote to what is stored, and which way a call went.
 *
 * A number becomes E.164 (`+4930123456`) only where that is certain, since a wrong guess sends a call to the wrong
 * country's column and can't be found again by its number. Everything else is stored as it stands: extensions, star
 * codes, names of SIP users, SIP URIs (what the part before @ means is for that host to say), `anonymous`, blanks.
 * (The number as dialled is kept beside it in any case.) Certain is, for the account's country:
 *
 *   1. with a plus: a known country code and a possible length. Fresh number ranges that the metadata does not know
 *      are still international; `country` is null for them where several countries share the code.
 *   2. with the country's international prefix (00, 011 …): likewise. Without a country: 00, and valid.
 *   3. as the country writes its own numbers, and valid: 030 123456 in Germany, 2025550123 or 12025550123 in the US,
 *      912345678 in Spain. The trunk prefix must be there where the country uses one, or the number have at least
 *      BARE_MIN_DIGITS: 23125000 dialled in Berlin is a subscriber's number there, not Dortmund (0231) 25000.
 *   4. the country's own code without a plus, and valid: 4930123456 in Germany, as carriers' trunks carry it.
 *   5. another country's code without a plus, at least BARE_MIN_DIGITS, valid, and no number of the own country even
 *      without its trunk prefix: for a French or Spanish account 442079460123 is London. For a German one it may be
 *      that or 04420 79460123 (numbers have many lengths there), for a Russian one 4951234567 may be Moscow or Germany;
 *      those stay. A switch that writes such numbers with a plus or the international prefix leaves no doubt.
 *
 * Without a country a bare run of digits stays: 13012345678 is Maryland in one place and a Chinese mobile in another.
 * Numbers of up to EXTENSION_MAX_DIGITS digits without a plus are extensions or short codes, never a subscriber.
 *
 * The metadata is the `max` set (156 kB): `min` has no rules by number type and takes 1001 for a valid German number;
 * `mobile` knows no fixed lines. A look-up costs 5 to 30 µs, so answers are kept; imports meet the same numbers often.
 */
import {
  type CountryCode,
  isSupportedCountry,
  Metadata,
  type PhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import type { Direction } from './cdr.ts';

/** `number` is what is stored; `country` the ISO 3166-1 alpha-2 code of an E.164 number, where it has one. */
export interface SettledNumber {
  readonly number: string;
  readonly country: string | null;
}

export interface NumberReader {
  /** Never throws. `country` is the account's, ISO 3166-1 alpha-2; null or an unknown one: not known. */
  read(written: string, country: string | null): SettledNumber;
}

/** E.164 allows 15 digits; with an international prefix of up to 6 before them. */
const MAX_DIGITS = 21;
/** The longest that is looked at as a phone number, separators included. */
const MAX_WRITTEN_LENGTH = 48;
/** What is stored of a longer text: it stands in an index, whose rows are bounded. */
const MAX_STORED_LENGTH = 128;
const EXTENSION_MAX_DIGITS = 6;
/** No numbering plan has subscribers' numbers, dialled without their area, of this length. */
const BARE_MIN_DIGITS = 10;
/** Answers kept in each of two generations; some 300 bytes each. */
const CACHE_GENERATION = 50_000;

const PHONE_TEXT = /^(\+?)([\d ()./-]+)$/;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const NOT_DIGITS = /\D+/g;

/** How a country dials. */
interface DialPlan {
  readonly country: CountryCode;
  readonly callingCode: string;
  readonly internationalPrefix: RegExp;
  /** Trunk prefix: 0 in most countries, 8 in Russia, 1 in North America; '' where there is none. */
  readonly trunkPrefix: string;
}

/** A reader with its own bounded cache. One a process is enough. */
export function createNumberReader(): NumberReader {
  const plans = new Map<string, DialPlan | null>();
  /** Answers by country and number: a key put together of both would be made anew for each look-up. */
  let young: Answers = new Map();
  let old: Answers = new Map();
  let youngCount = 0;
  const planOf = (country: string | null): DialPlan | null => {
    if (country === null || !isSupportedCountry(country)) return null;
    let plan = plans.get(country);
    if (plan === undefined) {
      plan = dialPlan(country);
      plans.set(country, plan);
    }
    return plan;
  };
  const remember = (country: string | null, text: string, settled: SettledNumber): void => {
    if (youngCount >= CACHE_GENERATION) {
      old = young;
      young = new Map();
      youngCount = 0;
    }
    let ofCountry = young.get(country);
    if (ofCountry === undefined) {
      ofCountry = new Map();
      young.set(country, ofCountry);
    }
    ofCountry.set(text, settled);
    youngCount++;
  };
  return {
    read(written, country) {
      const text = written.length > MAX_STORED_LENGTH ? cut(written) : written.trim();
      if (text.length > MAX_WRITTEN_LENGTH || text === '') return { number: text, country: null };
      const known = young.get(country)?.get(text);
      if (known !== undefined) return known;
      const knownOfOld = old.get(country)?.get(text);
      if (knownOfOld !== undefined) return knownOfOld;
      // A copy: V8 keeps a text that was cut out of a row as a view of the whole row.
      const own = Buffer.from(text).toString();
      const settled = readNumber(own, planOf(country)) ?? { number: own, country: null };
      remember(country, own, settled);
      return settled;
    },
  };
}

type Answers = Map<string | null, Map<string, SettledNumber>>;

function cut(written: string): string {
  return written.slice(0, MAX_STORED_LENGTH).toWellFormed().trim();
}

function dialPlan(country: CountryCode): DialPlan | null {
  const metadata = new Metadata();
  metadata.selectNumberingPlan(country);
  const plan = metadata.numberingPlan as
    | { callingCode(): string; IDDPrefix(): string | null; nationalPrefix(): string | null }
    | undefined;
  if (!plan) return null;
  return {
    country,
    callingCode: plan.callingCode(),
    internationalPrefix: new RegExp(`^(?:${plan.IDDPrefix() || '00'})`),
    trunkPrefix: plan.nationalPrefix() ?? '',
  };
}

/** null: not certainly a phone number. */
function readNumber(text: string, plan: DialPlan | null): SettledNumber | null {
  const match = PHONE_TEXT.exec(text.startsWith('tel:+') ? text.slice(4) : text);
  if (!match || IPV4.test(text)) return null;
  const digits = match[2]!.replace(NOT_DIGITS, '');
  if (digits.length > MAX_DIGITS) return null;
  if (match[1] === '+') return international(match[2]!, true);
  if (digits.length <= EXTENSION_MAX_DIGITS) return null;
  if (plan === null) return digits.startsWith('00') ? international(digits.slice(2), false) : null;

  const prefix = plan.internationalPrefix.exec(digits)?.[0];
  const afterPrefix = prefix === undefined ? null : digits.slice(prefix.length);
  const abroad = afterPrefix === null ? null : international(afterPrefix, false);
  if (abroad !== null) return abroad;
  const here = nationalOrBare(digits, plan);
  if (here !== null || afterPrefix === null) return here;
  return international(afterPrefix, true);
}

/** Rules 3 to 5. */
function nationalOrBare(digits: string, plan: DialPlan): SettledNumber | null {
  const national = parse(digits, plan.country);
  const isNational = national?.isValid() === true && national.countryCallingCode === plan.callingCode;
  const bare = digits.startsWith('0') ? null : international(digits, false);
  const withoutTrunk = isNational && digits === national.nationalNumber;

  if (isNational && digits === plan.trunkPrefix + national.nationalNumber && !withoutTrunk)
    return e164(national);
  const isOwnCode = bare !== null && digits.startsWith(plan.callingCode);
  const isUsual = withoutTrunk && digits === national.formatNational().replace(NOT_DIGITS, '');
  if (isUsual) return isOwnCode ? null : e164(national);
  if (isOwnCode) return bare;
  if (digits.length < BARE_MIN_DIGITS) return null;
  if (withoutTrunk) return bare === null ? e164(national) : null;
  return bare;
}

/** `digits` after a plus, separators allowed. */
function international(digits: string, possibleIsEnough: boolean): SettledNumber | null {
  const phone = parse(`+${digits}`, undefined);
  if (phone === null) return null;
  if (phone.isValid()) return e164(phone);
  if (!possibleIsEnough || !phone.isPossible()) return null;
  return { number: `+${digits.replace(NOT_DIGITS, '')}`, country: phone.country ?? null };
}

function parse(text: string, defaultCountry: CountryCode | undefined): PhoneNumber | null {
  const options = defaultCountry ? { defaultCountry, extract: false } : { extract: false };
  return parsePhoneNumberFromString(text, options) ?? null;
}

function e164(phone: PhoneNumber): SettledNumber {
  return { number: phone.number, country: phone.country ?? null };
}

/** The public network's side of a call, the switch's own, or neither certainly. */
type Side = 'network' | 'inside' | 'unknown';

/**
 * Emergency numbers that work everywhere or nearly (112, 911, 999) and Europe's harmonised 116xxx. Short as they are,
 * they are reached through the network. No dial plan gives them to extensions, unlike 110, 100 or 101, which are
 * emergency numbers in one country and somebody's desk in another; those count as extensions.
 */
const PUBLIC_SHORT_NUMBER = /^(?:112|911|999|116\d{3})$/;
/** Extensions, and the short star codes that the switch itself answers (*97); *67 and a number is neither. */
const INSIDE = /^(?:\d{1,6}|[*#]{1,2}\d{1,4}[*#]?)$/;

/**
 * Which way a call went, from its two settled numbers: from an extension to the network outbound, the other way
 * inbound, between extensions internal, from network to network outbound (a trunk customer's call). Where either is
 * neither an extension nor E.164 (anonymous, a SIP name, digits that could be anything): unknown.
 */
export function directionOf(cli: string, cld: string): Direction {
  const from = sideOf(cli);
  const to = sideOf(cld);
  if (from === 'unknown' || to === 'unknown') return 'unknown';
  if (to === 'network') return 'outbound';
  return from === 'network' ? 'inbound' : 'internal';
}

function sideOf(number: string): Side {
  if (/^\+\d+$/.test(number) || PUBLIC_SHORT_NUMBER.test(number)) return 'network';
  return INSIDE.test(number) ? 'inside' : 'unknown';
}
