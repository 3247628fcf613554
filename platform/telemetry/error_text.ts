/** An error's text, in one line. */

/**
 * An AggregateError has its messages in its parts and may have none of its own. An example is the error for a host name
 * with several addresses, each of which refuses the connection.
 */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  if (error instanceof AggregateError && error.message === '') return error.errors.map(errorText).join('; ');
  return oneLine(error.message || error.name);
}

const oneLine = (text: string) => text.replaceAll(/\s*[\r\n]+\s*/g, ' ');
