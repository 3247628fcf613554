import { errorText } from '#platform/telemetry/error_text.ts';
import { indented } from './print.ts';

/** Words for what went wrong, for a person at a terminal: the message and its causes, no stack. */
export function explainFailure(error: unknown): string {
  const said: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    // Of an AggregateError the parts are told, in a line; other messages may have several.
    const words = cause instanceof AggregateError ? errorText(cause) : cause.message;
    if (words && !said.some((before) => before.includes(words))) said.push(words);
  }
  // What an error quotes may have line ends of its own: none of its lines is to look like one of ours.
  return said.map(indented).join('\n  because: ') || String(error);
}
