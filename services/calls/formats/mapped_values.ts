/** Values as carriers, billing systems and spreadsheets write them. Each reader gives undefined for what it can't read. */
import { isIP } from 'node:net';
import { CALL_RESULTS, type CallResult, DIRECTIONS, type Direction } from '../cdr.ts';
import { resultOfHangupCause, resultOfQ850, resultOfSipStatus } from './causes.ts';
import { readSeconds } from './field_values.ts';

const CLOCK = /^(\d{1,6}):([0-5]\d):([0-5]\d)(\.\d{1,9})?$/;

/**
 * Seconds, whole or with a fraction, or H:MM:SS. Not M:SS: 5:07 could be hours as well.
 * @param decimalComma whether 12,5 is twelve and a half
 */
export function readDuration(text: string, decimalComma: boolean): number | undefined {
  const clock = CLOCK.exec(text);
  if (clock)
    return (Number(clock[1]) * 60 + Number(clock[2])) * 60 + Number(clock[3]) + Number(clock[4] ?? 0);
  const seconds = readSeconds(decimalComma ? text.replace(',', '.') : text);
  return seconds >= 0 ? seconds : undefined;
}

/** A decimal string as PostgreSQL's numeric takes it. */
export function readAmount(text: string, decimalComma: boolean): string | undefined {
  const amount = decimalComma ? text.replace(',', '.') : text;
  return /^[-+]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})$/.test(amount) ? amount : undefined;
}

export function readCurrency(text: string): string | undefined {
  return /^[a-z]{3}$/i.test(text) ? text.toUpperCase() : undefined;
}

/** An IP address; a port behind it is left off. */
export function readIp(text: string): string | undefined {
  const host = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? text;
  return isIP(host) ? host : undefined;
}

let countries: Map<string, string> | undefined;

/** ISO 3166-1 alpha-2, from itself or the country's English name. */
export function readCountry(text: string): string | undefined {
  countries ??= countryNames();
  return countries.get(text.toUpperCase());
}

function countryNames(): Map<string, string> {
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
  const codes = new Map<string, string>();
  const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
  for (const code of letters.flatMap((one) => letters.map((two) => one + two))) {
    const name = names.of(code);
    if (name === undefined || name === 'Unknown Region') continue;
    // DD and UK are names of DE and GB too.
    const today = new Intl.Locale(`und-${code}`).region!;
    codes.set(code, today);
    if (today === code) codes.set(name.toUpperCase(), code);
  }
  return codes;
}

const DIRECTION_WORDS = new Map<string, Direction>([
  ...DIRECTIONS.map((direction): [string, Direction] => [direction, direction]),
  ['out', 'outbound'],
  ['outgoing', 'outbound'],
  ['in', 'inbound'],
  ['incoming', 'inbound'],
  ['local', 'internal'],
]);

export function readDirection(text: string): Direction | undefined {
  return DIRECTION_WORDS.get(text.toLowerCase());
}

/** Words for a call's end, with blanks, hyphens and underscores taken out. */
const RESULT_WORDS = new Map<string, CallResult>([
  ...CALL_RESULTS.map((result): [string, CallResult] => [result.replace('_', ''), result]),
  ['answer', 'answered'],
  ['ok', 'answered'],
  ['success', 'answered'],
  ['completed', 'answered'],
  ['connected', 'answered'],
  ['missed', 'no_answer'],
  ['unanswered', 'no_answer'],
  ['notanswered', 'no_answer'],
  ['timeout', 'no_answer'],
  ['cancel', 'cancelled'],
  ['canceled', 'cancelled'],
  ['abandoned', 'cancelled'],
  ['congestion', 'failed'],
  ['rejected', 'failed'],
  ['declined', 'failed'],
  ['error', 'failed'],
  ['failure', 'failed'],
]);

/** The normal end of a call, answered or not: Q.850's 16 and 31, FreeSWITCH's names for them, and a plain 0. */
const CLEARED: ReadonlySet<string> = new Set(['0', '16', '31', 'NORMAL_CLEARING', 'NORMAL_UNSPECIFIED']);

/** How a call ended: a word, FreeSWITCH's name, a Q.850 cause (1 to 127) or a SIP status (200 to 699). */
export function readResult(text: string): CallResult | 'cleared' | undefined {
  if (CLEARED.has(text)) return 'cleared';
  const word = RESULT_WORDS.get(text.toLowerCase().replace(/[\s_-]/g, ''));
  if (word !== undefined) return word;
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    if (number < 128) return resultOfQ850(number);
    return number >= 200 && number < 700 ? resultOfSipStatus(number) : undefined;
  }
  // FreeSWITCH's names are of several words: a single one is none that is known here.
  return /^[A-Z]+_[A-Z_]+$/.test(text) ? (resultOfHangupCause(text) ?? undefined) : undefined;
}
