/** Drills that take one of the three bouncers on the way to the primary. */
import { freezeFamily, signal } from '../processes.ts';
import type { Drill, DrillContext, DrillOutcome } from './drill.ts';
import { within } from './verdict.ts';

const VICTIM = 'pgb2';
/** The bouncer stays away this long after it was noticed, to see the others carry the load. */
const AWAY_MS = 2_000;
const UP_LIMIT_MS = 20_000;

/** The promises: a dead bouncer is noticed by its clients' refused connects, a frozen one by checks alone. */
const CRASH_NOTICED_MS = 1_000;
const FREEZE_NOTICED_MS = 10_000;
/**
 * Once it is marked DOWN its clients are cut off. Of a frozen one they would else wait for their own time limit: 10 s,
 * which end more than a second later, as it is marked DOWN within 9.
 */
const CLIENTS_BACK_MS = 1_000;

export const bouncerCrash: Drill = {
  name: 'pgbouncer-crash',
  purpose: `kill -9 of ${VICTIM}`,
  promise: { mayFail: 'underway', writeSilenceMs: 1_000, readSilenceMs: 1_000, losableMs: 0 },
  run: async (context) => {
    const { tier } = context;
    const { pid } = await tier.processOf(VICTIM);
    await tier.hold(VICTIM);
    signal(pid, 'SIGKILL');
    return outage(context, `kill -9 of ${VICTIM} (pid ${pid})`, CRASH_NOTICED_MS, async () => {
      await tier.release(VICTIM);
      context.say(`${VICTIM} started again`);
    });
  },
};

export const bouncerFreeze: Drill = {
  name: 'pgbouncer-freeze',
  purpose: `SIGSTOP of ${VICTIM}: it accepts connections, and never answers`,
  promise: { mayFail: 'underway', writeSilenceMs: 1_000, readSilenceMs: 1_000, losableMs: 0 },
  run: async (context) => {
    const { tier } = context;
    const { pid } = await tier.processOf(VICTIM);
    // Or the supervisor would kill it as one that hangs.
    await tier.hold(VICTIM);
    const frozen = freezeFamily(pid);
    return outage(context, `SIGSTOP of ${VICTIM} (pid ${pid})`, FREEZE_NOTICED_MS, async () => {
      for (const member of frozen) signal(member, 'SIGCONT');
      await tier.release(VICTIM);
      context.say(`${VICTIM} goes on`);
    });
  },
};

async function outage(
  context: DrillContext,
  what: string,
  noticedLimitMs: number,
  repair: () => Promise<void>,
): Promise<DrillOutcome> {
  const { load, watch, clock, say, wait } = context;
  const brokenAt = context.broken(what);
  let noticedMs: number;
  let routedAroundAt: number;
  let clientsBackMs: number;
  try {
    noticedMs = await wait(() => watch.server('bouncers', VICTIM) === 'down', UP_LIMIT_MS);
    routedAroundAt = clock.monotonic();
    say('routed around: every HAProxy process sends its clients elsewhere');
    const everyone = await load.everyoneAnswered('write', UP_LIMIT_MS);
    clientsBackMs = everyone ? clock.monotonic() - routedAroundAt : Number.POSITIVE_INFINITY;
    say(everyone ? 'every client is answered again' : 'some clients are still not answered');
    await clock.sleep(AWAY_MS);
  } finally {
    await repair();
  }
  await wait(() => watch.server('bouncers', VICTIM) === 'up', UP_LIMIT_MS);
  return {
    brokenAt,
    routedAroundAt,
    findings: [
      within(`${VICTIM} is marked DOWN by every HAProxy process`, noticedMs, noticedLimitMs),
      within('from then on every client is answered again', clientsBackMs, CLIENTS_BACK_MS),
    ],
  };
}
