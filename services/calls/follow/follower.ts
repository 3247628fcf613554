/** What reads a source, be it a file or a folder. */

export interface Follower {
  /**
   * Looks at what is there, and has all be read. To be called again and again.
   * @throws the file system's or the database's error; then it is to be stopped, and another to be begun
   */
  look(): Promise<void>;
  /** Whether there is anything at the path. */
  readonly isThere: boolean;
  /** Where changes are: the path itself, or the folder that it is in. */
  readonly folder: string;
  readonly bytesBehind: number;
  readonly bytesRead: number;
  /** '' where all is well. */
  readonly trouble: string;
  /** Ends all reading; what was read whole is stored. */
  stop(): Promise<void>;
}
