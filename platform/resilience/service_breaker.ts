/**
 * The breaker of a service on a server that others use as well: two in a row. The server's is opened by lost connections and by
 * failed health checks, whosever they are; the service's own by time-outs and failures of its statements, which are nobody else's
 * trouble. Work passes where both let it.
 *
 * What is shown is the one that holds more back. By hand, the service's own is opened; closing closes both, since an operator who
 * closes a breaker wants work let through.
 */
import type { Breaker, BreakerState, CircuitBreaker } from './circuit_breaker.ts';
import { isServersFailure } from './failure_rule.ts';

const HOLDS_BACK: Readonly<Record<BreakerState['name'], number>> = {
  CLOSED: 0,
  HALF_OPEN: 1,
  OPEN: 2,
  HELD_OPEN: 3,
};

export interface ServiceBreaker extends Breaker {
  /** Whose state is shown. */
  readonly of: 'server' | 'service';
}

export function createServiceBreaker(server: CircuitBreaker, own: CircuitBreaker): ServiceBreaker {
  const admits = () => server.admits && own.admits;

  function strictest(): CircuitBreaker {
    const [more, less] = [HOLDS_BACK[own.state.name], HOLDS_BACK[server.state.name]];
    if (more !== less) return more > less ? own : server;
    return within(own) > within(server) ? own : server;
  }

  return {
    get of() {
      return strictest() === own ? 'service' : 'server';
    },
    get state() {
      return strictest().state;
    },
    get nextProbeInMs() {
      return strictest().nextProbeInMs;
    },
    get admits() {
      return admits();
    },
    get blocked() {
      return server.blocked || own.blocked;
    },
    tryPass() {
      if (!admits()) return undefined;
      const [ofServer, ofService] = [server.tryPass()!, own.tryPass()!];
      return {
        probe: ofServer.probe || ofService.probe,
        report(outcome, cause) {
          const isServers = outcome === 'failure' && isServersFailure(cause);
          const isStatements = outcome === 'failure' && !isServers;
          ofServer.report(isStatements ? 'neutral' : outcome, cause);
          ofService.report(isServers ? 'neutral' : outcome, cause);
        },
      };
    },
    onChange(listener) {
      const stops = [server.onChange(listener), own.onChange(listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    openByHand: own.openByHand,
    closeByHand(by) {
      own.closeByHand(by);
      server.closeByHand(by);
    },
    releaseByHand: own.releaseByHand,
  };
}

/** Of two in the same state, which holds more back: by failures in a row, probes under way, or time until the next one. */
function within({ state, nextProbeInMs = 0 }: CircuitBreaker): number {
  if (state.name === 'CLOSED') return state.consecutiveFailures;
  return state.name === 'HALF_OPEN' ? state.probes : nextProbeInMs;
}
