/** The form of a rule. */
import type { Measure } from './measure.ts';
import type { Labels } from './samples.ts';
import type { Severity } from './words.ts';

/**
 * A rule whose alert is the cause of another, if the labels that both have are equal. `ofAll`: only while it holds for
 * every part that it watches: if one HAProxy of two is DOWN, it explains nothing. `withinS`: only for this time after it began.
 */
export type Cause = string | { readonly ofAll: string } | { readonly rule: string; readonly withinS: number };

/** The servers of HAProxy whose times give the beginning of an alert: those with its labels, of these proxies or of all. */
export interface TimedBy {
  readonly holds: 'any is DOWN' | 'none is UP';
  readonly proxies?: readonly string[];
}

export type Rule = {
  readonly name: string;
  readonly severity: Severity;
  /** The subject: the first words of the alert. */
  readonly title: string;
  readonly message: string;
  readonly recovery: string;
  readonly measure: Measure;
  /** The time for which it must hold without a break. */
  readonly forS: number;
  /** A second condition, with the same labels: this measure is above the given figure. */
  readonly and?: { readonly measure: Measure; readonly above: number };
  /** The source of the figures: while it is silent, an alert stays as it is. */
  readonly source: 'haproxy' | 'service' | 'monitor';
  /** The figure is the number of seconds of a silence: above 0, the alert may be coming. */
  readonly isSilence?: true;
  /** Omitted: the alert begins and ends at the poll that sees the change. */
  readonly timedBy?: TimedBy;
  /** Causes of this rule: while one of them is an alert, this rule's alert is not announced. */
  readonly causedBy?: readonly Cause[];
  /**
   * Alerts with the same meaning for people: while one of them, with these labels, is announced and holds, this one is not
   * announced. With `withinS` this applies for that time after the other one began, whether it still holds or not.
   */
  readonly saidBy?: readonly {
    readonly of: Labels;
    readonly by: string;
    readonly where: Labels;
    readonly withinS?: number;
  }[];
  /** With these labels, the message of its end names the primary. */
  readonly saysLeader?: Labels;
  /** The message of an alert that was over before it was announced; the default is `message`. */
  readonly over?: string;
  /** If this measure is above 0 at the end, with the same labels, the part has not recovered: `words` replaces the recovery. */
  readonly unless?: { readonly measure: Measure; readonly words: string };
} & ({ readonly above: number; readonly below?: never } | { readonly below: number; readonly above?: never });
