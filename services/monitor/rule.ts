/** What a rule says. */
import type { Measure } from './measure.ts';
import type { Labels } from './samples.ts';
import type { Severity } from './words.ts';

/**
 * A rule that another is a consequence of, where the labels that both have are equal. `ofAll`: only while it holds of
 * every part that it watches, as one HAProxy of two that is DOWN excuses nothing. `withinS`: only for so long since it began.
 */
export type Cause = string | { readonly ofAll: string } | { readonly rule: string; readonly withinS: number };

/** The servers of HAProxy whose times tell since when a rule holds: those with the alert's labels, of these proxies or of all. */
export interface TimedBy {
  readonly holds: 'any is DOWN' | 'none is UP';
  readonly proxies?: readonly string[];
}

export type Rule = {
  readonly name: string;
  readonly severity: Severity;
  /** Who is spoken of: the first words of the alert. */
  readonly title: string;
  readonly message: string;
  readonly recovery: string;
  readonly measure: Measure;
  /** It must hold for so long without a break. */
  readonly forS: number;
  /** And only while this is above the given figure, with the same labels. */
  readonly and?: { readonly measure: Measure; readonly above: number };
  /** What the figures come from: while that is silent, an alert stays as it is. */
  readonly source: 'haproxy' | 'service' | 'monitor';
  /** The figure is for how many seconds it has held: above 0, the alert may be coming. */
  readonly isSilence?: true;
  /** Left out: it begins and ends when a poll sees that. */
  readonly timedBy?: TimedBy;
  /** Rules of which this one is only a consequence: while one of them is an alert, this one is not announced. */
  readonly causedBy?: readonly Cause[];
  /**
   * Alerts that say the same to people: while one of them, with these labels, is told and holds, this one is not told
   * besides; with `withinS`, for so long since that one began, and no longer, whether it holds or not.
   */
  readonly saidBy?: readonly {
    readonly of: Labels;
    readonly by: string;
    readonly where: Labels;
    readonly withinS?: number;
  }[];
  /** With these labels, its end says who is the primary. */
  readonly saysLeader?: Labels;
  /** What is said of one that was over before it was told; left out: the message. */
  readonly over?: string;
  /** Where this is above 0 at the end, with the same labels, the part did not get well: other words are said. */
  readonly unless?: { readonly measure: Measure; readonly words: string };
} & ({ readonly above: number; readonly below?: never } | { readonly below: number; readonly above?: never });
