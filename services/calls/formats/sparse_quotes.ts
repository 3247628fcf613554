/**
 * Records whose writer escapes no quote and puts quotes around a field only where it must, or never:
 *
 *   FreePBX's export (module cdr, functions.inc.php, `cdr_export_csv`): around a value that holds a comma
 *                                                   "Ann" <1002>     ""Smith, John" <1002>"
 *   Grandstream's and PBXware's: around none        "Ann" <1002>     "Smith, John" <1002>
 *
 * A separator between two quotes belongs to the value, as everywhere. That rule splits all records but FreePBX's second
 * form, where the quotes pair up wrongly: there the number of columns shows which pieces belong together. A record with
 * more than one reading of as many fields is ambiguous; nothing is guessed.
 */
/** Why a text is not a whole record. `ambiguous`: it can be read in more than one way. */
export type QuoteFault = 'unterminated' | 'misplaced' | 'ambiguous';

/** Whether a record of so many fields is expected here. `values` are the fields, for a caller that checks them too. */
export type Fits = (fields: number, values?: readonly string[]) => boolean;

/** No writer writes more. Bounds the work for hostile files. */
const MAX_PIECES = 1_000;
/** The places where pieces may belong together. The fitting places are looked for. */
const MAX_JOINTS = 12;

/** A caller id's end: the name's quote, then the number in brackets. */
const CALLER_END = /"\s*<[^<>"]*>$/;
/** Only quotes that are written twice. */
const DOUBLED = /^(?:[^"]|"")*$/;

/**
 * Splits a record without escapes. Reports more or fewer fields where no reading fits.
 * @param separator one character
 */
export function splitSparseQuotes(text: string, separator: string, fits: Fits): string[] | QuoteFault {
  const pieces = text.split(separator);
  if (pieces.length > MAX_PIECES) return 'misplaced';
  const runs = pairedRuns(pieces, separator);
  if (runs === 'unterminated') return runs;
  // Quotes that do not pair up, as where a database cut long names: only every separator can be one.
  if (runs === 'misplaced') return fits(pieces.length) ? pieces.map(unquoted) : runs;
  const values = runs.map(unquoted);
  if (fits(values.length, values)) return values;
  return joinedRuns(runs, separator, fits) ?? values;
}

/** Joins pieces wherever a separator stands between two quotes. Blanks around a field are not part of it. */
function pairedRuns(pieces: readonly string[], separator: string): string[] | 'unterminated' | 'misplaced' {
  const runs: string[] = [];
  let open = '';
  let isOpen = false;
  let isMisplaced = false;
  let isBegunOdd = false;
  for (const piece of pieces) {
    const isOdd = hasOddQuotes(piece);
    if (isOdd && isBegun(piece)) isBegunOdd = true;
    if (!isOpen && !isOdd) {
      runs.push(piece);
      continue;
    }
    open = isOpen ? open + separator + piece : piece;
    if (isOdd) isOpen = !isOpen;
    if (isOpen) continue;
    if (!(isBegun(open) && isEnded(open))) isMisplaced = true;
    runs.push(open);
  }
  // A quote in the middle of a value (6" pipe) opens nothing.
  if (isOpen && isBegunOdd) return 'unterminated';
  if (isOpen) return 'misplaced';
  return isMisplaced ? 'misplaced' : runs;
}

function hasOddQuotes(piece: string): boolean {
  let isOdd = false;
  for (let at = piece.indexOf('"'); at !== -1; at = piece.indexOf('"', at + 1)) isOdd = !isOdd;
  return isOdd;
}

/** Runs from `from` to `to`, both included, that may be one value with separators. */
interface Joint {
  readonly from: number;
  readonly to: number;
}

/** The single reading that fits, with runs joined. Null where there is none. */
function joinedRuns(runs: readonly string[], separator: string, fits: Fits): string[] | 'ambiguous' | null {
  const joints = jointsOf(runs);
  if (joints.length === 0 || joints.length > MAX_JOINTS) return null;
  let found: string[] | null = null;
  for (let chosen = 1; chosen < 1 << joints.length; chosen++) {
    const values = joined(
      runs,
      joints.filter((_, at) => (chosen >> at) & 1),
      separator,
    );
    if (values === null || !fits(values.length, values)) continue;
    if (found !== null) return 'ambiguous';
    found = values;
  }
  return found;
}

/** Values that begin with a quote and lack their end, up to the next run that ends like a value and lacks its begin. */
function jointsOf(runs: readonly string[]): Joint[] {
  const joints: Joint[] = [];
  for (const [from, run] of runs.entries()) {
    if (!isBegun(run) || isEnded(run)) continue;
    for (let to = from + 1; to < runs.length; to++) {
      const end = runs[to]!;
      if (isBegun(end)) break;
      if (isEnded(end)) joints.push({ from, to });
      if (joints.length > MAX_JOINTS) return joints;
    }
  }
  return joints;
}

const isBegun = (run: string): boolean => run.trimStart().startsWith('"');

function isEnded(run: string): boolean {
  const text = run.trimEnd();
  return text.endsWith('"') || CALLER_END.test(text);
}

/** Null where two of the joints overlap. */
function joined(runs: readonly string[], joints: readonly Joint[], separator: string): string[] | null {
  const values: string[] = [];
  let at = 0;
  for (const { from, to } of joints) {
    if (from < at) return null;
    for (; at < from; at++) values.push(unquoted(runs[at]!));
    values.push(unquoted(runs.slice(from, to + 1).join(separator)));
    at = to + 1;
  }
  for (; at < runs.length; at++) values.push(unquoted(runs[at]!));
  return values;
}

/** A field without blanks and quotes around it. */
function unquoted(field: string): string {
  const text = field.trim();
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text;
  const inner = text.slice(1, -1);
  return inner.includes('"') && DOUBLED.test(inner) ? inner.replaceAll('""', '"') : inner;
}
