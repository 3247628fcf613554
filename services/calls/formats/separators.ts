/** Finds the separator of a CSV's columns from its first lines. */

const SEPARATORS = [',', ';', '\t', '|', '^'] as const;

/** `sep=;` above the header, which sets the separator for spreadsheets. Undefined: the line is not such a line. */
export const toldSeparator = (line: string): string | undefined => /^"?sep=(.)"?\s*$/i.exec(line)?.[1];

/**
 * The separator of a header: the one that gives most of the wanted names, or else most columns.
 * @param columns their number, where it is known
 */
export function separatorOf(line: string, columns?: number, names: readonly string[] = []): string {
  const told = toldSeparator(line);
  if (told !== undefined) return told;
  const text = unwrapped(line) ?? line;
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  const outsideQuotes = text.replace(/"[^"]*"/g, '');
  let best: string = SEPARATORS[0];
  let bestScore = -1;
  for (const separator of SEPARATORS) {
    const count = outsideQuotes.split(separator).length;
    const found = text.split(separator).filter((name) => wanted.has(plainName(name))).length;
    const score = (columns === count ? 1e8 : 0) + found * 1e4 + Math.min(count, 9_999);
    if (score > bestScore) [best, bestScore] = [separator, score];
  }
  return best;
}

const plainName = (name: string): string => name.replace(/^[\s"#]+|[\s"]+$/g, '').toLowerCase();

/**
 * For formats with a known separator: the other separator with which a spreadsheet has saved the file.
 * @param fits whether the line is a record of the format when it is split so
 */
export const separatorThatFits = (fits: (separator: string) => boolean): string | undefined =>
  SEPARATORS.find(fits);

/**
 * The text of a line that is one quoted cell: some programs save each line of a CSV so, and spreadsheets put the
 * separators of empty cells behind it. Null: the line is not one cell.
 */
export function unwrapped(line: string): string | null {
  const inner = /^"((?:[^"]|"")*)"[;,\t|^ ]*$/.exec(line)?.[1];
  return inner === undefined ? null : inner.replaceAll('""', '"');
}
