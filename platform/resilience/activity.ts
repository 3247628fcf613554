/** The last things that happened, newest first, for a dashboard. Bounded; nothing in it names a customer. */
import type { Clock } from '#platform/lifecycle/clock.ts';

export interface Activity {
  /** Wall-clock milliseconds since 1970. */
  readonly at: number;
  readonly text: string;
}

export interface ActivityLog {
  add(text: string): void;
  readonly recent: readonly Activity[];
}

export const ACTIVITY_KEPT = 50;

export function createActivityLog(clock: Clock, kept: number = ACTIVITY_KEPT): ActivityLog {
  const entries: Activity[] = [];
  return {
    add: (text) => {
      entries.unshift({ at: clock.now(), text });
      if (entries.length > kept) entries.length = kept;
    },
    get recent() {
      return entries;
    },
  };
}
