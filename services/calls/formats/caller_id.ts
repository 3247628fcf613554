/** Parses a caller as Asterisk and FreeSWITCH present one. */
export interface CallerId {
  readonly name: string;
  readonly number: string;
}

/**
 * Parses `"Name" <number>`. The name or its quotes may be missing. Any other text is a number.
 *
 * Asterisk puts a backslash before quotes and backslashes of the name (main/callerid.c, `ast_callerid_merge`). Where a
 * CSV's quotes were not undone, the quotes come twice, and so may those around the name.
 */
export function readCallerId(text: string): CallerId {
  const trimmed = text.trim();
  const bracket = trimmed.lastIndexOf('<');
  if (bracket === -1 || !trimmed.endsWith('>')) return { name: '', number: text };
  return { name: readName(trimmed.slice(0, bracket).trimEnd()), number: trimmed.slice(bracket + 1, -1) };
}

function readName(written: string): string {
  if (!written.includes('"')) return written;
  let from = 0;
  let to = written.length;
  while (to - from > 1 && written[from] === '"' && written[to - 1] === '"') {
    from++;
    to--;
  }
  const name = written.slice(from, to);
  // A database that cut a long name has cut its last quote.
  const whole = name.startsWith('"') && name.indexOf('"', 1) === -1 ? name.slice(1) : name;
  return whole.replace(/\\(["\\])|"(")/g, '$1$2');
}
