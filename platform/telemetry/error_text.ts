/** What an error says, in one line. */

/**
 * An AggregateError has its words in its parts: a host name with several addresses, each of which refuses the
 * connection, is one that says nothing by itself.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (error instanceof AggregateError && error.message === '') return error.errors.map(errorText).join('; ');
  return oneLine(error.message || error.name);
}

const oneLine = (text: string) => text.replaceAll(/\s*[\r\n]+\s*/g, ' ');
