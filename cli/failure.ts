/** Words for what went wrong, for a person at a terminal: the message and its causes, no stack. */
export function explainFailure(error: unknown): string {
  const said: string[] = [];
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    // An AggregateError (several addresses refused a connection) has its words in its parts.
    const words = cause instanceof AggregateError ? cause.errors.map(String).join('; ') : cause.message;
    if (words && !said.some((before) => before.includes(words))) said.push(words);
  }
  return said.join('\n  because: ') || String(error);
}
