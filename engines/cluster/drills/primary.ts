/** Drills that take the primary: PostgreSQL and its Patroni, as if their machine were gone. */
import { freezeFamily, postmasterOf, signal } from '../processes.ts';
import type { Drill, DrillContext, DrillOutcome } from './drill.ts';
import { within } from './verdict.ts';

const WRITES_BACK_MS = 30_000;
const GIVE_UP_MS = 90_000;
/** Replication over loopback or a LAN is behind by far less. */
const LOSABLE_MS = 1_000;

const promise = {
  mayFail: 'writes',
  writeSilenceMs: WRITES_BACK_MS,
  readSilenceMs: 2_000,
  losableMs: LOSABLE_MS,
} as const;

export const primaryCrash: Drill = {
  name: 'primary-crash',
  purpose: 'kill -9 of the primary and its Patroni, as if their machine had lost its power',
  promise,
  run: (context) =>
    failover(context, 'SIGKILL', async (node) => {
      await context.tier.release(node);
      context.say(`${node} started again`);
    }),
};

export const primaryFreeze: Drill = {
  name: 'primary-freeze',
  purpose:
    'SIGSTOP of the primary and its Patroni: a machine that hangs, and wakes up believing to be primary',
  promise,
  run: (context) =>
    failover(context, 'SIGSTOP', async (node, processes) => {
      for (const pid of processes) signal(pid, 'SIGCONT');
      context.say(`${node} goes on`);
    }),
};

async function failover(
  context: DrillContext,
  name: 'SIGKILL' | 'SIGSTOP',
  repair: (node: string, processes: readonly number[]) => Promise<void>,
): Promise<DrillOutcome> {
  const { tier, load, watch, clock, say, wait } = context;
  await wait(() => watch.leader() !== undefined, GIVE_UP_MS);
  const old = tier.layout.nodes.find((node) => node.name === watch.leader());
  if (!old) throw new Error('there is no primary to take');
  const patroni = await tier.processOf(old.name);
  const postmaster = postmasterOf(old.folder);
  if (!postmaster) throw new Error(`no PostgreSQL runs in ${old.folder}`);
  await tier.hold(old.name);
  // Frozen in any case, so that none escapes; Patroni first, so that it can't start or stop the other.
  const processes = [...freezeFamily(patroni.pid), ...freezeFamily(postmaster.pid)];
  if (name === 'SIGKILL') for (const pid of processes) signal(pid, name);
  const brokenAt = context.broken(`${name} of ${old.name}, the primary: ${processes.length} processes`);

  let backMs: number;
  let routedAroundAt: number;
  try {
    const newLeader = () =>
      tier.layout.nodes.some((n) => n !== old && watch.server('leader', n.name) === 'up');
    await wait(newLeader, GIVE_UP_MS);
    say('bouncers reach the new primary');
    await load.everyoneAnswered('write', GIVE_UP_MS);
    routedAroundAt = clock.monotonic();
    backMs = routedAroundAt - brokenAt;
    say('every writer is answered again');
  } finally {
    await repair(old.name, processes);
    await tier.release(old.name);
  }
  await wait(() => watch.server('replicas', old.name) === 'up', GIVE_UP_MS);
  say(`${old.name} is back, as a replica`);
  return {
    brokenAt,
    routedAroundAt,
    findings: [within('every writer is answered again', backMs, WRITES_BACK_MS)],
  };
}
