/** A source does not fit the options: an option names something that the source lacks. Its message is for the user who imports. */
export class SourceError extends Error {
  override name = 'SourceError';
}
