/** A circuit breaker's transition, as a dashboard and a log line say it. */
import type { Transition } from '#platform/resilience/circuit_breaker.ts';
import { errorText } from '#platform/telemetry/error_text.ts';

/** @param whose breaker it is: "primary", "replica 1" */
export const transitionText = (whose: string, { from, to, reason, by }: Transition): string =>
  `Circuit of ${whose}: ${from} to ${to} (${reason}${by ? `: ${by}` : ''})`;

export const transitionFields = ({ from, to, reason, by, cause }: Transition) => ({
  from,
  to,
  reason,
  by,
  cause: cause === undefined ? '' : errorText(cause),
});
