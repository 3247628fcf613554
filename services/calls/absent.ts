/**
 * Values that stand for none. Databases, languages and spreadsheets print a text where there is no value: NULL and \N
 * (SQL), None and NaN (Python), nil, undefined, (null) (C), n/a, #N/A, and people write a dash. A spreadsheet's error
 * (#VALUE!, #DIV/0!, Err:502) is in the place of a value that could not be worked out. One table for all formats and
 * fields. MySQL's stamp of nought is among them, since its dumps have it in any column; what else a field says for none
 * is its format's business (time/stamp_text.ts).
 *
 * Some words say something where people's texts stand, and nothing where a figure does: NA is Namibia as a country and
 * R's word for a missing number; unknown tells of a caller that he hides his number.
 *
 * A code that an account bears is a code all the same: see intake/account_book.ts.
 */

import { CODE_EDGES, tidyCode } from './account_codes.ts';

/** In lower case, in every field. With pandas' list for read_csv (`na_values`). */
const NONE: ReadonlySet<string> = new Set([
  ...['null', '\\n', 'nil', 'none', 'undefined', '_undef_', 'nan', '-nan', 'nan(ind)', '-nan(ind)', 'nat'],
  ...['1.#ind', '-1.#ind', '1.#qnan', '-1.#qnan', 'n/a', 'n.a.', 'n/v', '-', '--', '---', '\u2013', '\u2014'],
  // What spreadsheets write for a value that is not there, in English and in other languages, and Access for errors.
  ...['#n/a', '#n/a n/a', '#na', '#nv', '#n/d', '#nd', '#n/b', '#i/t', '#n/disp', '#\u043d/\u0434', '#yok'],
  ...['#getting_data', '#null', '#error', '#deleted'],
]);
/** Within brackets or quotes, beside those: (empty) is no value where empty may be a word of the text. */
const NONE_WITHIN: ReadonlySet<string> = new Set([
  ...['na', 'empty', 'blank', 'missing', 'unset', 'not set', 'no value', 'no data', 'not available'],
]);
/** Where the field holds a figure, an instant, an address or an id, beside those. */
const NO_FIGURE: ReadonlySet<string> = new Set([
  ...['na', 'unknown', 'unavailable', 'not available', 'not applicable', 'not set', 'unset', 'missing'],
  ...['empty', 'blank', '?', '(unknown)', '<unknown>', '[unknown]'],
]);
const PAIRS: ReadonlyMap<string, string> = new Map(
  [...'(<[{"\'`'].map((open, at) => [open, ')>]}"\'`'[at]!]),
);
const LONGEST = 20;
/** #VALUE! #DIV/0! #NAME? and the same in other languages (#¡VALOR!, #WERT!). LibreOffice: Err:502. */
const SPREADSHEET_ERROR = /^(?:#[¡¿]?\p{L}[\p{L}\d/]*[!?]|err:\d{3})$/iu;
const NOUGHT_DATE = '0000-00-00';
const NOUGHT_STAMP = /^0000-00-00(?:[T ]00:00(?::00(?:\.0{1,9})?)?(?:Z|[+-]00:?00)?)?$/i;

/** Of each code that such a text or a blank begins with, so that other values are told by one look. */
const [NEVER, PERHAPS, RARELY] = [0, 1, 2];
const FIRST = firsts([...NONE, ...PAIRS.keys(), 'err:', ...CODE_EDGES]);
/** The same of figures, and what else they may begin with. */
const FIRST_OF_FIGURE = FIRST.slice();
for (const word of NO_FIGURE)
  for (const text of [word, word.toUpperCase()]) FIRST_OF_FIGURE[text.charCodeAt(0)] = PERHAPS;
/** Of those that begin as figures do. */
const NOT_A_NUMBER = '1.#';
for (const text of [NOUGHT_DATE, NOT_A_NUMBER]) {
  FIRST[text.charCodeAt(0)] = RARELY;
  FIRST_OF_FIGURE[text.charCodeAt(0)] = RARELY;
}

function firsts(texts: readonly string[]): Uint8Array {
  const first = new Uint8Array(0x10000);
  for (const text of texts) {
    first[text.charCodeAt(0)] = PERHAPS;
    first[text.toUpperCase().charCodeAt(0)] = PERHAPS;
  }
  return first;
}

/** Whether a value is blank or stands for none. Blanks around it do not matter. */
export function isNone(value: string): boolean {
  return value === '' || (mayBegin(FIRST, value) && isNoneText(tidyCode(value)));
}

/** The same for a field of figures, instants, addresses or ids, where no text of people's stands. */
export function isNoFigure(value: string): boolean {
  if (value === '') return true;
  if (!mayBegin(FIRST_OF_FIGURE, value)) return false;
  const text = tidyCode(value);
  return isNoneText(text) || (text.length <= LONGEST && NO_FIGURE.has(text.toLowerCase()));
}

function mayBegin(first: Uint8Array, value: string): boolean {
  const may = first[value.charCodeAt(0)]!;
  if (may !== RARELY) return may === PERHAPS;
  return value.startsWith(NOUGHT_DATE) || value.startsWith(NOT_A_NUMBER);
}

function isNoneText(text: string): boolean {
  if (text === '') return true;
  const [first] = text;
  if (first === '0') return NOUGHT_STAMP.test(text);
  if (text.length > LONGEST) return false;
  const word = text.toLowerCase();
  if (NONE.has(word)) return true;
  if (first === '#' || word.startsWith('err:')) return SPREADSHEET_ERROR.test(text);
  const close = PAIRS.get(first!);
  if (close === undefined || text.length < 2 || !text.endsWith(close)) return false;
  const within = word.slice(1, -1).trim();
  return within === '' || NONE.has(within) || NONE_WITHIN.has(within);
}

/** The value, or '' for one that stands for none. */
export const given = (value: string): string => (isNone(value) ? '' : value);

/** The same for a field of figures, instants, addresses or ids. */
export const givenFigure = (value: string): string => (isNoFigure(value) ? '' : value);

const NO_PLACES: ReadonlySet<number> = new Set();

/**
 * A row's values with '' for those that stand for none; the same array where there are none such.
 * @param figures places of figures, instants, addresses and ids
 */
export function givenValues(
  values: readonly string[],
  figures: ReadonlySet<number> = NO_PLACES,
): readonly string[] {
  let cleaned: string[] | undefined;
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (value === '' || FIRST_OF_FIGURE[value.charCodeAt(0)] === NEVER) continue;
    if (!(figures.has(at) ? isNoFigure(value) : isNone(value))) continue;
    cleaned ??= [...values];
    cleaned[at] = '';
  }
  return cleaned ?? values;
}
