/** Values as carriers, billing systems and spreadsheets write them. Each reader returns undefined for an unreadable value. */
import { isIP } from 'node:net';
import { plainDecimal } from '../decimal.ts';

/** A decimal string without an exponent. A decimal that is too long stays as written, and normalize.ts reports it. */
export function readAmount(text: string): string | undefined {
  const plain = plainDecimal(text);
  return plain === 'too_long' ? text : plain;
}

export function readCurrency(text: string): string | undefined {
  return /^[a-z]{3}$/i.test(text) ? text.toUpperCase() : undefined;
}

/** An IP address, without a port behind it. */
export function readIp(text: string): string | undefined {
  const host = /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? text;
  return isIP(host) ? host : undefined;
}

let countries: Map<string, string> | undefined;

/** ISO 3166-1 alpha-2, from the code itself or the country's English name. */
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
