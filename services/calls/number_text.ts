/**
 * Removes the text around a telephone number, as switches, SIP and spreadsheets write it. This text makes a certain number
 * no less certain, and makes no number of a text that is none.
 *
 *   "Ann" <+493023125001>   <sip:+493023125001@host;user=phone>   tel:+49-30-23125001;ext=12   +493023125001@host
 *   *31#+493023125001  #31#…  *67… (North America)     the caller shows his number, or does not, for this call
 *   141 020… (GB)  1831 02… (AU)  184 03… (JP)  …        the same without a star
 *   10-10-288-1-202…  01033 030…  9,1202…               a carrier's code, or an outside line
 *   +493023125001,,123#   … ext. 12   … (Ann)           digits that are dialled afterwards, and a name
 *   ="+493023125001"   '030 23125001   4930231250012.0   forms that spreadsheets make
 *   ［＋４９］ ３０…   ٠٣٠…   +49–30–…                     other digits, hyphens and blanks; invisible marks
 */

export interface NumberText {
  /** A number as it would be dialled, with its separators. */
  readonly text: string;
  /** The user of a SIP address: there digits alone may be the name of an account. */
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
/** For this call only, in North America. */
const SHOWN_OR_NOT_NANP = /^\*(?:67|82)[ -]?(?=[+(\d])/;
/**
 * By calling code: digits that are dialled in front of a number to show or hide the caller's number, or to choose the
 * carrier, where no number begins with them. A number in national form, or with a plus, follows them.
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
/** An outside line, and a pause until it is there. */
const LINE_OUT = /^[089][,pw]+(?=[+(01])/i;
/** North America's form of numbers, which an extension may follow. */
const NANP = /^(?:1[ .-]?)?[2-9]\d\d[ .-]?[2-9]\d\d[ .-]?\d{4}(?!\d)/;
/** Parameters that SIP puts behind a number: ;npdi ;rn=+4930 ;cpc=ordinary. */
const PARAMETERS = /(?<=^\+[\d ().-]+);[a-z][^<>@]*$/i;
/** Texts that may follow a whole number: an extension, pauses, the key that ends dialling, a name. */
const BEHIND = /(?:(?: ?(?:x|ext\.?|extension) ?|[,;pw]+)[\d,pw]*#?|#| \([^()\d]{1,40}\))$/i;
const FLOAT = /^(\+?\d{6,})[.,]0{1,3}$/;

/**
 * A number without the text around it.
 * @param callingCode of the country in which the number was dialled, if known
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
    // A network's own number, which is not the account's.
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

/** The digits of a script are consecutive, from 0 to 9. */
function digitOf(code: number): number {
  let nought = code;
  while (/\p{Nd}/u.test(String.fromCodePoint(nought - 1))) nought--;
  return (code - nought) % 10;
}

/** A spreadsheet's form of a long number: 4.93023E+11, 4,93023E+11, 5E+11. Its last digits are lost. */
const POWER = /^[\s"'=+<(]*\d{1,3}(?:[.,\u066b]\d+E\+?|E\+)\d{1,3}[\s"'>)]*$/i;
const PERHAPS_POWER = /\dE\+?\d/i;

export const isSpreadsheetPower = (text: string): boolean =>
  PERHAPS_POWER.test(text) && text.length <= 64 && POWER.test(text);
