/**
 * Normalizes phone numbers from the switch's form to the stored form, and concludes a call's direction.
 *
 * A number becomes E.164 (`+4930123456`) only where that is certain, since a wrong guess sends a call to the wrong
 * country's column and can't be found again by its number. Every other number is stored as written: extensions, star
 * codes, names of SIP users, `anonymous`, blanks. (The number as dialled is kept beside it in any case.) Text around a
 * number (number_text.ts) is no reason for doubt, but digits before an @ must have a plus or a prefix in front: others may
 * be an account's name at that host. For the account's country these are certain:
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
 *      those stay, as does 912025550142 in the US, which may be India or a number behind a line out. A switch that writes such numbers with a plus or the international prefix leaves no doubt.
 *
 * Without a country a bare run of digits stays: 13012345678 is Maryland in one place and a Chinese mobile in another.
 * Numbers of up to EXTENSION_MAX_DIGITS digits without a plus are extensions or short codes, never a subscriber.
 *
 * The metadata is the `max` set (156 kB): `min` has no rules by number type and takes 1001 for a valid German number;
 * `mobile` knows no fixed lines. A look-up costs 5 to 30 µs, so results are cached; imports meet the same numbers often.
 */
import { isIPv4 } from 'node:net';
import {
  type CountryCode,
  isSupportedCountry,
  Metadata,
  type PhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import type { Direction } from './call_fields.ts';
import { countryOfErased } from './erased_numbers.ts';
import { numberText } from './number_text.ts';

/** `number` is the stored form. `country` is the ISO 3166-1 alpha-2 code of an E.164 number, where it has one. */
export interface NormalizedNumber {
  readonly number: string;
  readonly country: string | null;
}

export interface NumberReader {
  /** Never throws. `country` is the account's, ISO 3166-1 alpha-2. Null or an unknown one: not known. */
  read(written: string, country: string | null): NormalizedNumber;
  /** The E.164 beginnings of numbers that are written with `begin` in front. Null: `begin` is too short, or not certain. */
  readBegin(begin: string, country: string | null): string | null;
}

/** E.164 allows 15 digits; with an international prefix of up to 6 before them. */
const MAX_DIGITS = 21;
/** The longest text that is parsed as a phone number, separators included. */
const MAX_WRITTEN_LENGTH = 48;
/** The stored length of a longer text: it stands in an index, whose rows are bounded. */
const MAX_STORED_LENGTH = 128;
const EXTENSION_MAX_DIGITS = 6;
/** No numbering plan has subscribers' numbers, dialled without their area, of this length. */
const BARE_MIN_DIGITS = 10;
/** Results kept in each of two generations; some 300 bytes each. */
const CACHE_GENERATION = 50_000;

const PHONE_TEXT = /^(\+?)([\d ()./-]+)$/;
/** Digits that a program took for a decimal number: the last zero is not one of them. */
const FLOAT_END = /^\+?\d+\.0+$/;
const NOT_DIGITS = /\D+/g;

/** How a country dials. */
interface DialPlan {
  readonly country: CountryCode;
  readonly callingCode: string;
  readonly internationalPrefix: RegExp;
  /** Trunk prefix: 0 in most countries, 8 in Russia, 1 in North America; '' where there is none. */
  readonly trunkPrefix: string;
}

/** A parser with its own bounded cache. One for each process is enough. */
export function createNumberReader(): NumberReader {
  const plans = new Map<string, DialPlan | null>();
  /** Results by country and number. A combined key would be built again for each look-up. */
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
  const remember = (country: string | null, text: string, normalized: NormalizedNumber): void => {
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
    ofCountry.set(text, normalized);
    youngCount++;
  };
  return {
    readBegin: (begin, country) => readBegin(begin.trim(), planOf(country)),
    read(written, country) {
      const text = written.length > MAX_STORED_LENGTH ? cut(written) : written.trim();
      if (text === '') return { number: text, country: null };
      const known = young.get(country)?.get(text);
      if (known !== undefined) return known;
      const knownOfOld = old.get(country)?.get(text);
      if (knownOfOld !== undefined) return knownOfOld;
      // A copy: V8 keeps a text that was cut out of a row as a view of the whole row.
      const own = Buffer.from(text).toString();
      const normalized = readNumber(own, planOf(country)) ?? { number: own, country: null };
      remember(country, own, normalized);
      return normalized;
    },
  };
}

type Answers = Map<string | null, Map<string, NormalizedNumber>>;

function cut(written: string): string {
  return written.slice(0, MAX_STORED_LENGTH).toWellFormed().trim();
}

function dialPlan(country: CountryCode): DialPlan | null {
  const metadata = new Metadata();
  metadata.selectNumberingPlan(country);
  const plan = metadata.numberingPlan as
    | { callingCode(): string; IDDPrefix(): string | null; nationalPrefix(): string | number | undefined }
    | undefined;
  if (!plan) return null;
  const trunk = plan.nationalPrefix();
  return {
    country,
    callingCode: plan.callingCode(),
    internationalPrefix: new RegExp(`^(?:${plan.IDDPrefix() || '00'})`),
    // The metadata has the number 0 for a missing one.
    trunkPrefix: typeof trunk === 'string' ? trunk : '',
  };
}

/** Null: not certainly a phone number. */
function readNumber(written: string, plan: DialPlan | null): NormalizedNumber | null {
  const country = countryOfErased(written);
  if (country !== undefined) return { number: written, country };
  if (PHONE_TEXT.test(written) && !FLOAT_END.test(written)) {
    const bare = readBare(written, plan);
    if (bare !== null) return bare;
  }
  const { text, isUser, isBracketed } = numberText(written, plan?.callingCode);
  if (isBracketed && INSIDE.test(text)) return { number: text, country: null };
  if (text === written) return null;
  if (!isUser && PUBLIC_SHORT_NUMBER.test(text)) return { number: text, country: null };
  return isUser && !hasPrefix(text, plan) ? null : readBare(text, plan);
}

/** Whether a number begins as no account's name does: with a plus, a zero or the country's international prefix. */
const hasPrefix = (text: string, plan: DialPlan | null): boolean =>
  text.startsWith('+') ||
  (plan === null
    ? text.startsWith('00')
    : text.startsWith('0') || plan.internationalPrefix.test(text.replace(NOT_DIGITS, '')));

/** A number without text around it. */
function readBare(text: string, plan: DialPlan | null): NormalizedNumber | null {
  const match = text.length > MAX_WRITTEN_LENGTH ? null : PHONE_TEXT.exec(text);
  if (!match || isIPv4(text)) return null;
  const digits = match[2]!.replace(NOT_DIGITS, '');
  if (digits.length > MAX_DIGITS || endsInExtension(text, plan)) return null;
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

const BEHIND_SLASH = /\/ *\d(?:[ .-]?\d){0,3}$/;

/** Whether a number is whole in front of its last slash: an extension may follow the slash, or the last digits. */
function endsInExtension(text: string, plan: DialPlan | null): boolean {
  const end = BEHIND_SLASH.exec(text);
  if (end === null) return false;
  const before = text.slice(0, end.index).trim();
  if (endsInExtension(before, plan) || typeof readBare(before, plan)?.country === 'string') return true;
  return plan !== null && isPerhapsBehind(before.replace(NOT_DIGITS, ''), plan);
}

/** Rules 1 to 4, as far as a beginning follows them. Digits alone may begin a number that is stored as written. */
function readBegin(text: string, plan: DialPlan | null): string | null {
  const match = text.length > MAX_WRITTEN_LENGTH ? null : PHONE_TEXT.exec(text);
  if (!match) return null;
  const digits = match[2]!.replace('(0)', '').replace(NOT_DIGITS, '');
  if (match[1] === '+') return `+${digits}`;
  if (plan === null) return digits.startsWith('00') && digits.length > 2 ? `+${digits.slice(2)}` : null;
  const abroad = plan.internationalPrefix.exec(digits)?.[0];
  if (abroad !== undefined) return digits.length > abroad.length ? `+${digits.slice(abroad.length)}` : null;
  const { callingCode, trunkPrefix } = plan;
  if (trunkPrefix !== '' && digits.startsWith(trunkPrefix)) {
    const rest = digits.slice(trunkPrefix.length);
    return rest === '' ? null : `+${callingCode}${rest}`;
  }
  // Where a number has no trunk prefix, as in Spain, or may be without it, as in North America.
  if (trunkPrefix === '' || trunkPrefix === callingCode)
    return digits === '' ? null : `+${callingCode}${digits}`;
  return digits.startsWith(callingCode) && digits.length > callingCode.length ? `+${digits}` : null;
}

/** Rules 3 to 5. */
function nationalOrBare(digits: string, plan: DialPlan): NormalizedNumber | null {
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
  if (digits.length < BARE_MIN_DIGITS || isPerhapsBehind(digits, plan)) return null;
  if (withoutTrunk) return bare === null ? e164(national) : null;
  return bare;
}

/** An outside line (9 1 202 555 0142), of one digit or two. In Hong Kong the prefix that hides the caller's number. */
const PERHAPS_IN_FRONT = [/^133(?=\d{8}$)/, /^[89]/, /^[89]{2}/];

/** Whether digits may be a national or an international number behind digits that are dialled in front. */
function isPerhapsBehind(digits: string, plan: DialPlan): boolean {
  return PERHAPS_IN_FRONT.some((front) => front.test(digits) && isDialled(digits.replace(front, ''), plan));
}

/** Whether digits are a number in national form, or an international one. */
function isDialled(
  digits: string,
  { country, callingCode, trunkPrefix, internationalPrefix }: DialPlan,
): boolean {
  const abroad = internationalPrefix.exec(digits)?.[0];
  if (abroad !== undefined && international(digits.slice(abroad.length), false) !== null) return true;
  const national = parse(digits, country);
  return (
    national?.isValid() === true &&
    national.countryCallingCode === callingCode &&
    digits === trunkPrefix + national.nationalNumber
  );
}

/** `digits` after a plus, separators allowed. */
function international(digits: string, possibleIsEnough: boolean): NormalizedNumber | null {
  const phone = parse(`+${digits}`, undefined);
  if (phone === null) return null;
  if (phone.isValid()) return e164(phone);
  if (!possibleIsEnough || !phone.isPossible()) return null;
  // The (0) of +44 (0)20 is dialled within the country only.
  return { number: `+${digits.replace('(0)', '').replace(NOT_DIGITS, '')}`, country: phone.country ?? null };
}

function parse(text: string, defaultCountry: CountryCode | undefined): PhoneNumber | null {
  const options = defaultCountry ? { defaultCountry, extract: false } : { extract: false };
  return parsePhoneNumberFromString(text, options) ?? null;
}

function e164(phone: PhoneNumber): NormalizedNumber {
  return { number: phone.number, country: phone.country ?? null };
}

/** The public network's side of a call, or the switch's own. Otherwise the side is not certain. */
type Side = 'network' | 'inside' | 'unknown';

/**
 * Emergency numbers that work everywhere or nearly (112, 911, 999) and Europe's harmonised 116xxx. Short as they are,
 * they are reached through the network. No dial plan gives them to extensions, unlike 110, 100 or 101, which are
 * emergency numbers in one country and a desk's extension in another; those count as extensions.
 */
const PUBLIC_SHORT_NUMBER = /^(?:112|911|999|116\d{3})$/;
/** Extensions, and the short star codes that the switch itself answers (*97). *67 before a number is neither. */
const INSIDE = /^(?:\d{1,6}|[*#]{1,2}\d{1,4}[*#]?)$/;

/** Texts for a caller who hides his number: blank, or a word of switches and telephones. */
const ANONYMOUS =
  /^(?:|<?unknown>?|anonymous|private|restricted|withheld|unavailable|blocked|asserted|no ?caller ?id|hidden|(?:caller ?)?id ?(?:unavailable|withheld|blocked))$/i;

/** Whether a caller hides his number. A SIP address without a number (sip:anonymous@anonymous.invalid) counts. */
export function isAnonymous(cli: string): boolean {
  return ANONYMOUS.test(cli) || /^(?:sips?:)?anonymous@/i.test(cli);
}

/**
 * A call's direction, by its two normalized numbers: from an extension to the network outbound, the other way
 * inbound, between extensions internal, from network to network outbound (a trunk customer's call). A caller who hides
 * his number comes from the network when he reaches an extension: telephones of the switch show theirs. If either number
 * is neither an extension nor E.164 (a SIP name, ambiguous digits), the direction is unknown.
 */
export function directionOf(cli: string, cld: string): Direction {
  const to = sideOf(cld);
  const from = to === 'inside' && isAnonymous(cli) ? 'network' : sideOf(cli);
  if (from === 'unknown' || to === 'unknown') return 'unknown';
  if (to === 'network') return 'outbound';
  return from === 'network' ? 'inbound' : 'internal';
}

function sideOf(number: string): Side {
  if (/^\+\d+$/.test(number) || PUBLIC_SHORT_NUMBER.test(number)) return 'network';
  if (countryOfErased(number) !== undefined) return 'network';
  return INSIDE.test(number) ? 'inside' : 'unknown';
}
