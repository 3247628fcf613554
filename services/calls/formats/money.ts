/**
 * The cost of a call, as programs write it: 0.025  0,025 €  $0.025  EUR 1.234,50  -0.5  0.5-  (0.50).
 *
 * A currency's sign beside the amount gives the currency, or a set of possible ones ($ is of two dozen). It must agree
 * with the currency of the row or else of the account.
 */
import { plainSigns } from '../decimal.ts';
import { BAD, type DecimalRule, readDecimal } from './decimal_marks.ts';
import { readAmount } from './mapped_values.ts';

export type ReadMoney =
  | {
      readonly kind: 'amount';
      /** A decimal string. */
      readonly amount: string;
      /** Codes of ISO 4217, one of which is meant. Null: no sign and no code stands beside the amount. */
      readonly currencies: readonly string[] | null;
    }
  /** `why` continues the value's text. */
  | { readonly kind: 'bad'; readonly why: string };

const MAX_LENGTH = 80;
const PLAIN = /^-?\d{1,15}(?:\.\d{1,15})?$/;
const MONEY =
  /^(\()?([-+])? ?([\p{L}\p{Sc}]{1,4}\.?)? ?([-+])?((?:[\d.,'\u2019]|(?<=\d) (?=\d))+(?:e[-+]?\d{1,4})?)? ?([\p{L}\p{Sc}]{1,4}\.?)? ?(-)?(\))?$/iu;

const bad = (why: string): ReadMoney => ({ kind: 'bad', why });
const NONE = bad('; it should be an amount such as 0.0125');

export function readMoney(written: string, rule: DecimalRule): ReadMoney {
  if (rule !== ',' && rule !== 'unknown' && PLAIN.test(written))
    return { kind: 'amount', amount: written, currencies: null };
  if (written.length > MAX_LENGTH) return NONE;
  const text = plainSigns(written.replace(/[\p{Zs}\t]+/gu, ' '));
  const match = MONEY.exec(text);
  const number = match?.[5];
  if (!match || number === undefined) return NONE;
  const [, open, first, before, second, , after, last, close] = match;
  const signs = [first, second, last].filter((sign) => sign !== undefined);
  // A bracket is a sign too: accountants write (0.50) for a deduction.
  if ((open === undefined) !== (close === undefined) || signs.length + (open ? 1 : 0) > 1) return NONE;
  // 5,- and 5.- mean five and no cents, as shops write it; a minus there would change the sum.
  if (last !== undefined && /[.,]$/.test(number)) return NONE;
  const currencies = meant(before, after);
  if (currencies !== null && currencies.length === 0) {
    return bad(`, which names a currency that is not known; write a code of ISO 4217, such as EUR`);
  }
  const [, mantissa, exponent = ''] = /^([^e]*)(e.*)?$/i.exec(number)!;
  // No mantissa has thousands: 1.250E-05 among decimal commas is a program's own form, or a mistake.
  const isOdd = exponent !== '' && rule === ',' && mantissa!.includes('.');
  const decimal = isOdd ? BAD : readDecimal(mantissa!, exponent === '' || rule === ',' ? rule : 'plain');
  if (decimal.kind === 'ambiguous') {
    return bad(
      `, which may be ${decimal.text} or ${decimal.other}; say which with --decimal-sign . or --decimal-sign ,`,
    );
  }
  if (decimal.kind === 'bad') {
    return rule === '.' || rule === ','
      ? bad(`, which is no amount where the decimal sign is ${rule}, as --decimal-sign says`)
      : NONE;
  }
  const negative = open !== undefined || signs[0] === '-';
  const amount = readAmount(`${negative ? '-' : ''}${decimal.text}${exponent}`);
  return amount === undefined ? NONE : { kind: 'amount', amount, currencies };
}

/** Currencies that fit both of two signs. Null: there is no sign. */
function meant(before: string | undefined, after: string | undefined): readonly string[] | null {
  const [one, other] = [before, after].filter((sign) => sign !== undefined).map(currenciesOf);
  if (one === undefined) return null;
  return other === undefined ? one : one.filter((code) => other.includes(code));
}

let signs: Map<string, readonly string[]> | undefined;

/** The currencies of a sign (€, $, US$, kr) or a code. An empty set for any other text. */
function currenciesOf(sign: string): readonly string[] {
  signs ??= currencySigns();
  return signs.get(sign.toUpperCase()) ?? signs.get(sign.replace(/\.$/, '').toUpperCase()) ?? [];
}

/** ICU's signs in English. A code whose own sign is a single letter is left out: 5 K is no amount. */
function currencySigns(): Map<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  const add = (sign: string, code: string) => {
    if (!/\p{Sc}/u.test(sign) && sign.length < 2) return;
    const key = sign.toUpperCase();
    found.set(key, (found.get(key) ?? new Set()).add(code));
  };
  for (const code of Intl.supportedValuesOf('currency')) {
    for (const locale of ['en', 'en-CA', 'en-AU']) {
      for (const currencyDisplay of ['narrowSymbol', 'symbol'] as const) {
        const parts = new Intl.NumberFormat(locale, { style: 'currency', currency: code, currencyDisplay });
        const sign = parts.formatToParts(0).find((part) => part.type === 'currency')?.value;
        // In Canada CAD itself is $ by its symbol: the narrow symbols give the sign for all currencies.
        if (sign !== undefined && (sign !== '$' || currencyDisplay === 'narrowSymbol')) add(sign, code);
      }
    }
  }
  // The signs that English uses as well.
  add('C$', 'CAD');
  add('Rs', 'INR');
  const signsOf = new Map<string, readonly string[]>();
  for (const [sign, codes] of found) signsOf.set(sign, [...codes]);
  // Codes last: a code means itself, even where it is also a sign.
  for (const code of Intl.supportedValuesOf('currency')) signsOf.set(code, [code]);
  return signsOf;
}
