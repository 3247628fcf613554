/**
 * Tests each door of the PostgreSQL tier as a client uses it: the door for reads by a SELECT, the door for writes by
 * writing a row. Every part may report that it is well while nothing gets through: a Patroni continues to answer for
 * a PostgreSQL that is dead.
 *
 * Each test has a connection of its own, as a new client has. While it has no answer, it is repeated in parallel, on
 * further connections: the first may have reached a bouncer or a HAProxy process that has just frozen,
 * which is an alert of that part and not a silence of the door. An outage lasts from the last answer to the
 * next one, and is reported even if it was over before a poll saw it.
 */
import type { Clock } from '#platform/lifecycle/clock.ts';
import { within } from '#platform/lifecycle/within.ts';

export const DOOR_INTERVAL_MS = 2_000;
export const DOOR_LIMIT_MS = 1_000;
/** A shorter silence is one test without an answer in time, and no outage. */
const OUTAGE_MS = 3_000;
const TRIES = 4;
const NEXT_TRY_MS = 250;

export const DOORS = ['writes', 'reads'] as const;
export type DoorName = (typeof DOORS)[number];

export interface DoorSource {
  readonly name: DoorName;
  /** The URL of PostgreSQL that clients use. */
  readonly url: string;
}

export interface DoorReading {
  readonly door: DoorName;
  /** Seconds since the last answer, while the last test had none; 0 otherwise; NaN before the first test. */
  readonly silentS: number;
  /** The reason why the last test had no answer; '' when it had one. */
  readonly fault: string;
}

/** An outage that is over. */
export interface DoorOutage {
  readonly door: DoorName;
  readonly lastedMs: number;
}

export interface Doors {
  /** Tests the doors until the signal, then resolves. */
  run(signal: AbortSignal): Promise<void>;
  readings(): DoorReading[];
  /** The outages that ended since the last call. */
  takeOutages(): DoorOutage[];
}

export interface DoorsNeeds {
  readonly sources: readonly DoorSource[];
  readonly clock: Clock;
  /** Resolves when a test through the door was answered. */
  readonly ask: (source: DoorSource, signal: AbortSignal) => Promise<void>;
  /** Called when a door falls silent, and when it answers again. */
  readonly onChange: () => void;
}

interface DoorState {
  readonly source: DoorSource;
  asked: boolean;
  answeredAt: number;
  silent: boolean;
  fault: string;
}

export function createDoors({ sources, clock, ask, onChange }: DoorsNeeds): Doors {
  const states = sources.map(
    (source): DoorState => ({
      source,
      asked: false,
      answeredAt: clock.monotonic(),
      silent: false,
      fault: '',
    }),
  );
  let ended: DoorOutage[] = [];

  async function askOnce(state: DoorState): Promise<void> {
    const { source } = state;
    try {
      await firstAnswer(source);
      answered(state);
    } catch (error) {
      state.fault = error instanceof Error ? error.message : String(error);
      state.asked = true;
      const isNew = !state.silent;
      state.silent = true;
      if (isNew) onChange();
    }
  }

  /** @throws Error of the last try, if none was answered */
  async function firstAnswer(source: DoorSource): Promise<void> {
    const enough = new AbortController();
    const tries = Array.from({ length: TRIES }, async (_, index) => {
      await clock.sleep(index * NEXT_TRY_MS, enough.signal);
      await within(
        clock,
        DOOR_LIMIT_MS,
        `a test of the door for ${source.name}`,
        (signal) => ask(source, signal),
        enough.signal,
      );
    });
    try {
      await Promise.any(tries);
    } catch (error) {
      throw (error as AggregateError).errors.at(-1);
    } finally {
      enough.abort(new Error('another try was answered'));
    }
  }

  function answered(state: DoorState): void {
    const now = clock.monotonic();
    const lastedMs = now - state.answeredAt;
    const wasSilent = state.silent;
    state.asked = true;
    state.silent = false;
    state.fault = '';
    state.answeredAt = now;
    if (!wasSilent) return;
    if (lastedMs >= OUTAGE_MS) ended.push({ door: state.source.name, lastedMs });
    onChange();
  }

  async function repeat(state: DoorState, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = clock.monotonic() + DOOR_INTERVAL_MS;
      await askOnce(state);
      await clock.sleep(Math.max(0, next - clock.monotonic()), signal).catch(() => undefined);
    }
  }

  return {
    run: async (signal) => {
      await Promise.all(states.map((state) => repeat(state, signal)));
    },
    readings: () =>
      states.map(({ source, asked, silent, answeredAt, fault }) => ({
        door: source.name,
        silentS: !asked ? Number.NaN : silent ? (clock.monotonic() - answeredAt) / 1_000 : 0,
        fault,
      })),
    takeOutages: () => {
      const taken = ended;
      ended = [];
      return taken;
    },
  };
}
