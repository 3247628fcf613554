/** What is remembered of alerts: plain data that survives a restart. */
import type { Labels } from './samples.ts';
import type { Severity } from './words.ts';

export interface Alert {
  /** Tells this occurrence from others of the same key. */
  readonly id: string;
  /** Rule and labels: what is wrong. */
  readonly key: string;
  readonly rule: string;
  readonly severity: Severity;
  readonly labels: Labels;
  readonly title: string;
  message: string;
  /** What is said at its end. */
  readonly recovery: string;
  value: number;
  state: 'pending' | 'firing' | 'resolved';
  /** Since when it holds. */
  readonly since: number;
  resolvedAt?: number;
  announced: boolean;
  /** Key of the alert that this one is a consequence of. */
  cause?: string;
  /** It is told as soon as no cause of it can come any more. */
  waits?: boolean;
  acknowledged?: { readonly by: string; readonly at: number; readonly note: string };
}

export interface Silence {
  readonly id: string;
  /** All given must be equal in an alert: its `rule`, its `severity`, its labels. */
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
  /** When each key last changed, for telling flapping. */
  readonly changes: Record<string, number[]>;
  /** Keys that flap, since when. */
  readonly flapping: Record<string, number>;
  silences: Silence[];
  /**
   * Ids of alerts in the history that were over before it was known whether they are consequences, and of those whose recovery
   * waits for another that says the same.
   */
  over: string[];
  /** When an alert that may have been a cause ended. */
  readonly ended: Record<string, number>;
  /** When each rule last held of every part that it watches; only of rules that held of all a moment ago. */
  readonly ofAll: Record<string, number>;
  count: number;
}
