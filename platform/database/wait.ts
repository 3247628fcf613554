/** A request's wait for a server, which is given up when there is a better way to an answer. */
import type { Gate } from '#platform/resilience/circuit_breaker.ts';

export interface Wait {
  /** Aborted when the request's client is gone, or when the wait is given up. */
  readonly signal: AbortSignal;
  /** It was given up. */
  readonly moved: boolean;
  /** The request is at work: it stays where it is. */
  begun(): void;
  end(): void;
}

/** A wait where there is nowhere else to go. */
export const stay = (signal: AbortSignal): Wait => ({
  signal,
  moved: false,
  begun: () => {},
  end: () => {},
});

/** A wait that is given up once `better` holds; it is asked now, and after each change of one of the breakers. */
export function waitUnless(
  breakers: readonly Pick<Gate, 'onChange'>[],
  better: () => boolean,
  gone: AbortSignal,
): Wait {
  const controller = new AbortController();
  let moved = false;
  const onChange = () => {
    if (controller.signal.aborted || !better()) return;
    moved = true;
    controller.abort(new Error('another server is asked'));
  };
  const stops = breakers.map((breaker) => breaker.onChange(onChange));
  const begun = () => {
    for (const stop of stops.splice(0)) stop();
  };
  const onGone = () => controller.abort(gone.reason);
  gone.addEventListener('abort', onGone, { once: true });
  if (gone.aborted) onGone();
  onChange();
  return {
    signal: controller.signal,
    get moved() {
      return moved;
    },
    begun,
    end: () => {
      begun();
      gone.removeEventListener('abort', onGone);
    },
  };
}
