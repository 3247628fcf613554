/** The reader of a source, either a file or a folder. */

export interface Follower {
  /**
   * Looks for new content and has it read. Call it again and again.
   * @throws the file system's or the database's error; stop the follower then, and start another
   */
  look(): Promise<void>;
  /** Whether the path exists. */
  readonly isThere: boolean;
  /** Where changes show: the path itself, or the folder that it is in. */
  readonly folder: string;
  readonly bytesBehind: number;
  readonly bytesRead: number;
  /** '' for a healthy source. */
  readonly trouble: string;
  /** Ends all reading. Rows that were read whole are stored. */
  stop(): Promise<void>;
}
