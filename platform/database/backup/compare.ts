/** Compares what a back-up says of its sums with what a database gives: line by line, whatever their number. */

export interface Difference {
  /** Which sums, or which table. */
  readonly what: string;
  readonly key: string;
  /** null: not there. */
  readonly backup: string | null;
  readonly database: string | null;
}

/** Differences found: the first of them, and how many there are in all. */
export interface Differences {
  readonly first: Difference[];
  count: number;
}

/** How many are told. */
const TOLD = 20;

export function noteDifference(found: Differences, difference: Difference): void {
  found.count++;
  if (found.first.length < TOLD) found.first.push(difference);
}

/** Lines of bytes that come in pieces. */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const some of bytes) {
    const lines = (rest + some.toString('latin1')).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/**
 * Both sides have lines of a key of ASCII, a tab and the sums, ordered by the key byte by byte.
 * @returns how many keys were looked at
 */
export async function compareLines(
  what: string,
  backup: AsyncIterable<string>,
  database: AsyncIterable<string>,
  found: Differences,
): Promise<number> {
  const [left, right] = [backup[Symbol.asyncIterator](), database[Symbol.asyncIterator]()];
  let [there, here] = [await left.next(), await right.next()];
  for (let keys = 0; ; keys++) {
    if (there.done && here.done) return keys;
    const [inBackup, inDatabase] = [parted(there), parted(here)];
    const takesBackup = inDatabase === null || (inBackup !== null && inBackup.key <= inDatabase.key);
    const takesDatabase = inBackup === null || (inDatabase !== null && inDatabase.key <= inBackup.key);
    const backupSums = takesBackup ? inBackup!.sums : null;
    const databaseSums = takesDatabase ? inDatabase!.sums : null;
    if (backupSums !== databaseSums) {
      const { key } = (takesBackup ? inBackup : inDatabase)!;
      noteDifference(found, { what, key, backup: backupSums, database: databaseSums });
    }
    if (takesBackup) there = await left.next();
    if (takesDatabase) here = await right.next();
  }
}

function parted({ done, value }: IteratorResult<string>): { key: string; sums: string } | null {
  if (done) return null;
  const tab = value.indexOf('\t');
  return { key: value.slice(0, tab), sums: value.slice(tab + 1) };
}
