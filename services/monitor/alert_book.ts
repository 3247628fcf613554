/** The stored state of alerts: plain data that survives a restart. */
import type { Labels } from './samples.ts';
import type { Severity } from './words.ts';

export interface Alert {
  /** Distinguishes this occurrence from others of the same key. */
  readonly id: string;
  /** Rule and labels. */
  readonly key: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly labels: Labels;
  readonly title: string;
  message: string;
  /** The message of its end. */
  readonly recovery: string;
  value: number;
  state: 'pending' | 'firing' | 'resolved';
  /** Its beginning. */
  readonly since: number;
  resolvedAt?: number;
  announced: boolean;
  /** Key of the alert that is the cause of this one. */
  cause?: string;
  /** It is announced as soon as no cause of it can come any more. */
  waits?: boolean;
  acknowledged?: { readonly by: string; readonly at: number; readonly note: string };
}

export interface Silence {
  readonly id: string;
  /** An alert matches if all these values are equal: `rule`, `severity` and labels. */
  readonly match: Labels;
  readonly by: string;
  readonly reason: string;
  /** Steady milliseconds. */
  readonly until: number;
}

/** All that must survive a restart; plain data. */
export interface AlertBook {
  readonly active: Record<string, Alert>;
  /** The newest first. */
  history: Alert[];
  /** Times of the last changes of each key, to detect flapping. */
  readonly changes: Record<string, number[]>;
  /** Flapping keys, with the beginning of the flapping. */
  readonly flapping: Record<string, number>;
  silences: Silence[];
  /**
   * Ids of alerts in the history that were over before it was known whether they are consequences, and of alerts whose recovery
   * waits for another alert with the same meaning.
   */
  over: string[];
  /** When an alert that may have been a cause ended. */
  readonly ended: Record<string, number>;
  /** When each rule last held for every part that it watches; only rules for which this was a moment ago. */
  readonly ofAll: Record<string, number>;
  count: number;
}
