import { errorText } from '#platform/telemetry/error_text.ts';
import { indented } from './print.ts';

/** An error's text for a person at a terminal: the message and its causes, no stack. */
export function explainFailure(error: unknown): string {
  const said: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    // The parts of an AggregateError are printed in one line; other messages may have several lines.
    const words = cause instanceof AggregateError ? errorText(cause) : cause.message;
    if (words && !said.some((before) => before.includes(words))) said.push(words);
  }
  // Text that an error quotes may have line ends. None of its lines may look like a line of Trunkline.
  return said.map(indented).join('\n  because: ') || String(error);
}
