/** A source can't be read as told: an option names what it does not have. Its message is for whoever imports. */
export class SourceError extends Error {
  override name = 'SourceError';
}
