/**
 * Values that mean "none". Databases, languages and spreadsheets print a text where there is no value: NULL and \N
 * (SQL), None and NaN (Python), nil, undefined, (null) (C), n/a, #N/A, and people write a dash. A spreadsheet writes an
 * error (#VALUE!, #DIV/0!, Err:502) in the place of a value that it could not compute. One table serves all formats and
 * fields. It holds MySQL's zero stamp, since MySQL's dumps have that stamp in any column. Further values of one field are
 * its format's business (time/stamp_text.ts).
 *
 * Some words have a meaning in a text field, and none in a field of figures: NA is Namibia as a country and R's word for
 * a missing number; unknown is a caller who hides his number.
 *
 * A code of an existing account remains a code: see intake/account_cache.ts.
 */

import { CODE_EDGES, tidyCode } from './account_codes.ts';

/** In lower case, for every field. With pandas' list for read_csv (`na_values`). */
const NONE: ReadonlySet<string> = new Set([
  ...['null', '\\n', 'nil', 'none', 'undefined', '_undef_', 'nan', '-nan', 'nan(ind)', '-nan(ind)', 'nat'],
  ...['1.#ind', '-1.#ind', '1.#qnan', '-1.#qnan', 'n/a', 'n.a.', 'n/v', '-', '--', '---', '\u2013', '\u2014'],
  // Spreadsheets' words for a missing value, in English and in other languages, and Access's for errors.
  ...['#n/a', '#n/a n/a', '#na', '#nv', '#n/d', '#nd', '#n/b', '#i/t', '#n/disp', '#\u043d/\u0434', '#yok'],
  ...['#getting_data', '#null', '#error', '#deleted'],
]);
/** Beside those, within brackets or quotes: (empty) is no value, but empty may be a word of the text. */
const NONE_WITHIN: ReadonlySet<string> = new Set([
  ...['na', 'empty', 'blank', 'missing', 'unset', 'not set', 'no value', 'no data', 'not available'],
]);
/** Beside those, where the field holds a figure, an instant, an address or an id. */
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

/** The first character codes of such texts and of blanks, so that one look decides for other values. */
const [NEVER, PERHAPS, RARELY] = [0, 1, 2];
const FIRST = firsts([...NONE, ...PAIRS.keys(), 'err:', ...CODE_EDGES]);
/** The same for figures, and the other characters with which figures begin. */
const FIRST_OF_FIGURE = FIRST.slice();
for (const word of NO_FIGURE)
  for (const text of [word, word.toUpperCase()]) FIRST_OF_FIGURE[text.charCodeAt(0)] = PERHAPS;
/** Of the texts that begin as figures do. */
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

/** Whether a value is blank or means "none". Blanks around it do not matter. */
export function isNone(value: string): boolean {
  return value === '' || (mayBegin(FIRST, value) && isNoneText(tidyCode(value)));
}

/** The same for a field of figures, instants, addresses or ids, which holds no free text. */
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

/** The value, or '' for one that means "none". */
export const given = (value: string): string => (isNone(value) ? '' : value);

/** The same for a field of figures, instants, addresses or ids. */
export const givenFigure = (value: string): string => (isNoFigure(value) ? '' : value);

const NO_PLACES: ReadonlySet<number> = new Set();

/**
 * A row's values with '' for those that mean "none". The same array if there are no such values.
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
