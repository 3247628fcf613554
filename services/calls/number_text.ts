/**
 * What stands around a telephone number where switches, SIP and spreadsheets write one. None of it makes a number that is
 * sure less so; none of it makes one of what is none.
 *
 *   "Ann" <+493023125001>   <sip:+493023125001@host;user=phone>   tel:+49-30-23125001;ext=12   +493023125001@host
 *   *31#+493023125001  #31#…  *67… (North America)     the caller shows his number, or does not, for this call
 *   141 020… (GB)  1831 02… (AU)  184 03… (JP)  …        the same without a star
 *   10-10-288-1-202…  01033 030…  9,1202…               by which carrier, or by which line out
 *   +493023125001,,123#   … ext. 12   … (Ann)           what is dialled afterwards, and who it is
 *   ="+493023125001"   '030 23125001   4930231250012.0   what spreadsheets make of it
 *   ［＋４９］ ３０…   ٠٣٠…   +49–30–…                     other digits, hyphens and blanks; marks that nobody sees
 */

export interface NumberText {
  /** A number as it would be dialled, separators in it. */
  readonly text: string;
  /** The user of a SIP address: digits alone may be the name of an account there. */
  readonly isUser: boolean;
  /** It stood in angle brackets, as numbers do beside a name. */
  readonly isBracketed: boolean;
}

const PLAIN = /^[ -~]*$/;
const UNSEEN = /[\p{Cf}\p{Cc}]/gu;
const ODD = /[\p{Nd}\p{Zs}\p{Pd}\u2212\uff00-\uff5e]/gu;
const IN_QUOTES = /^=?(["'])(.*)\1$/;
const IN_BRACKETS = /^[^<>]*<([^<>]*)>(?:;.*)?$/;
const SCHEME = /^(?:tel|sips?|callto|h323|phone):(?:\/\/)?/i;
const SHOWN_OR_NOT = /^(?:[*#]3[01][#*])(?=[+(\d])/;
/** For this call alone, in North America. */
const SHOWN_OR_NOT_NANP = /^\*(?:67|82)[ -]?(?=[+(\d])/;
/**
 * By calling code, what is dialled in front of a number to show one's own or not, or to choose the carrier, where no number
 * begins so. Behind it stands a number as the country dials it, or with a plus.
 */
const IN_FRONT: Readonly<Record<string, RegExp>> = {
  '1': /^(?:11(?:67|82)[ -]?(?=[+(12-9])|10[ -]?1[05][ -]?\d{3}[ -]?(?=[01]))/,
  '33': /^3651[ -]?(?=[+0])/,
  '34': /^067[ -]?(?=[+6-9])/,
  '44': /^1(?:41|470)[ -]?(?=[+0(])/,
  '49': /^010(?:0\d\d|[1-9]\d)[ -]?(?=0)/,
  '61': /^183[12][ -]?(?=[+0(])/,
  '81': /^18[46][ -]?(?=[+0])/,
  '353': /^14[12][ -]?(?=[+0])/,
};
/** A line out, and a pause until it is there. */
const LINE_OUT = /^[089][,pw]+(?=[+(01])/i;
/** As North America writes its numbers, whose extension may follow. */
const NANP = /^(?:1[ .-]?)?[2-9]\d\d[ .-]?[2-9]\d\d[ .-]?\d{4}(?!\d)/;
/** What SIP puts behind a number: ;npdi ;rn=+4930 ;cpc=ordinary. */
const PARAMETERS = /(?<=^\+[\d ().-]+);[a-z][^<>@]*$/i;
/** What follows a whole number: an extension, pauses, the key that ends dialling, whose it is. */
const BEHIND = /(?:(?: ?(?:x|ext\.?|extension) ?|[,;pw]+)[\d,pw]*#?|#| \([^()\d]{1,40}\))$/i;
const FLOAT = /^(\+?\d{6,})[.,]0{1,3}$/;

/**
 * What is left of a number without what stands around it.
 * @param callingCode of the country in which it was dialled, where that is known
 */
export function numberText(written: string, callingCode: string | undefined): NumberText {
  const isNanp = callingCode === '1';
  let text = (PLAIN.test(written) ? written : written.replace(UNSEEN, '').replace(ODD, plainSign)).trim();
  text = IN_QUOTES.exec(text)?.[2] ?? text.replace(/^'/, '');
  const inner = IN_BRACKETS.exec(text)?.[1];
  if (inner !== undefined) text = inner.trim();
  const scheme = SCHEME.exec(text)?.[0];
  if (scheme !== undefined) text = text.slice(scheme.length);
  let isUser = false;
  const host = text.indexOf('@');
  if (host !== -1 || scheme !== undefined) {
    const parameters = /[;?].*$/.exec(text)?.[0] ?? '';
    // A number of some network's own, which is not the account's.
    if (/;phone-context=/i.test(parameters) && !text.startsWith('+')) return none(written);
    isUser = host !== -1 && !/;user=phone/i.test(parameters);
    text = (host === -1 ? text : text.slice(0, host)).replace(/[;?].*$/, '');
  }
  if (text.includes('%')) text = text.replace(/%2B/gi, '+').replace(/%20/g, ' ').replace(/%23/g, '#');
  text = text.replace(SHOWN_OR_NOT, '');
  if (isNanp || /^\*\d\d\+/.test(text)) text = text.replace(SHOWN_OR_NOT_NANP, '');
  text = text.replace(LINE_OUT, '');
  const inFront = callingCode === undefined ? undefined : IN_FRONT[callingCode];
  if (inFront) text = text.replace(inFront, '');
  text = text.replace(/[[\]{}]/g, '').trim();
  text = text
    .replace(/^\(? *\+ *\(?/, '+')
    .replace(/^\+\++/, '+')
    .replace(/^\+ ?00/, '+');
  if (text.includes(';')) text = text.replace(PARAMETERS, '');
  if (/^(?:\+|00|0[1-9]|\()/.test(text) || (isNanp && NANP.test(text))) text = text.replace(BEHIND, '');
  text = FLOAT.exec(text)?.[1] ?? text;
  return { text, isUser, isBracketed: inner !== undefined };
}

const none = (text: string): NumberText => ({ text, isUser: false, isBracketed: false });

function plainSign(sign: string): string {
  const code = sign.codePointAt(0)!;
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  if (/\p{Zs}/u.test(sign)) return ' ';
  return /\p{Nd}/u.test(sign) ? String(digitOf(code)) : '-';
}

/** Digits of a script stand in a row, from nought to nine. */
function digitOf(code: number): number {
  let nought = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(nought - 1))) nought--;
  return (code - nought) % 10;
}

/** What a spreadsheet makes of a long number: 4.93023E+11, 4,93023E+11, 5E+11. Its last digits are gone for good. */
const POWER = /^[\s"'=+<(]*\d{1,3}(?:[.,\u066b]\d+E\+?|E\+)\d{1,3}[\s"'>)]*$/i;
const PERHAPS_POWER = /\dE\+?\d/i;

export const isSpreadsheetPower = (text: string): boolean =>
  PERHAPS_POWER.test(text) && text.length <= 64 && POWER.test(text);
