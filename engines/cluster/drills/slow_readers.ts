/** The drill with clients that ask for much and read nothing, as many as there are connections to the replicas. */
import { poolCounts } from '../pgbouncer.ts';
import type { Tier } from '../tier.ts';
import type { Drill, DrillContext, DrillOutcome } from './drill.ts';
import { startSlowClient } from './slow_client.ts';
import { type Finding, within } from './verdict.ts';

/** Both read bouncers, with 70 connections each. */
const CLIENTS = 140;
/** Clients that are only slow. */
const SLOW = 2;
/**
 * From the client's last byte on, including the time to fill all buffers on the way: 10 s. Readers and the service hold
 * connections, too, so some clients get theirs only when others have been cut: the same time again.
 */
const CUT_LIMIT_MS = 20_000;
const CUT_POLL_MS = 100;
/** Limit for readers, which need the clients' connections, and for writers, which share the processors with the clients. */
const SILENCE_MS = 5_000;
/** The slow clients are watched for so long. */
const SLOW_WATCHED_MS = 20_000;
const READERS_BACK_MS = 2_000;
/** DoorSilent alerts after 4 s, and 10 s later at the latest. */
const TOLD_MS = 14_000;

export const slowReaders: Drill = {
  name: 'slow-readers',
  purpose: `${CLIENTS} clients ask the read door for 100 MB each and read nothing of it; ${SLOW} more read 1 kB/s`,
  promise: { mayFail: 'none', writeSilenceMs: SILENCE_MS, readSilenceMs: SILENCE_MS, losableMs: 0 },
  service: {
    mayFail: 'any',
    limits: { readsMs: SILENCE_MS, writesMs: SILENCE_MS },
    told: {
      // The rule that alerts about more makes the other one unnecessary.
      by: ['poolwait', 'doorsilent'],
      ...{ severity: 'warning', criticals: 1, withinMs: TOLD_MS },
      alsoBy: ['poolnearlyfull', 'slowanswers', 'queuewait', 'breakeropen'],
    },
  },
  run: takeNothing,
};

async function takeNothing(context: DrillContext): Promise<DrillOutcome> {
  const { tier, load, clock, say } = context;
  const start = (count: number, takes: 'nothing' | '1 kB/s') =>
    Promise.all(Array.from({ length: count }, () => startSlowClient(tier.readUrl, takes)));
  const slow = await start(SLOW, '1 kB/s');
  const slowSince = clock.monotonic();
  let stuck: Awaited<ReturnType<typeof start>> = [];
  try {
    const brokenAt = context.broken(`${CLIENTS} clients are about to read nothing`);
    stuck = await start(CLIENTS, 'nothing');
    const most = await clientsOfReads(tier);
    const cutMs = await untilCut(context, most - CLIENTS);
    const left = CLIENTS - (most - (await clientsOfReads(tier)));
    say(left > 0 ? `${left} of them hold a connection` : 'none of them holds a connection now');
    const routedAroundAt = clock.monotonic();
    const isBack = await load.everyoneAnswered('read', CUT_LIMIT_MS);
    const backMs = isBack ? clock.monotonic() - routedAroundAt : Number.POSITIVE_INFINITY;
    if (isBack) say('every reader is answered');
    await clock.sleep(Math.max(0, SLOW_WATCHED_MS - (clock.monotonic() - slowSince)));
    const goOn = slow.filter(({ taken, lostAt }) => lostAt === undefined && taken > 0).length;
    const kept: Finding = {
      about: 'parts',
      promise: `a client that reads 1 kB/s is not cut while it is watched`,
      measured: `${goOn} of ${SLOW} go on after ${Math.round((clock.monotonic() - slowSince) / 1_000)} s`,
      kept: goOn === SLOW,
    };
    return {
      brokenAt,
      routedAroundAt,
      findings: [
        within('no client that reads nothing is left at a bouncer', cutMs, CUT_LIMIT_MS),
        within('from then on every reader is answered again', backMs, READERS_BACK_MS),
        kept,
      ],
    };
  } finally {
    for (const client of [...slow, ...stuck]) client.close();
  }
}

/** The client itself sees its end later: it can still read the bytes that lie in the kernel for it. */
async function clientsOfReads({ layout, secrets }: Tier): Promise<number> {
  const bouncers = layout.bouncers.filter(({ upstream }) => upstream === 'replicas');
  const counts = await Promise.all(bouncers.map((bouncer) => poolCounts(bouncer, secrets)));
  return counts.reduce((sum, { clients }) => sum + clients, 0);
}

async function untilCut({ tier, clock }: DrillContext, atMost: number): Promise<number> {
  const start = clock.monotonic();
  while ((await clientsOfReads(tier)) > atMost) {
    if (clock.monotonic() - start > 2 * CUT_LIMIT_MS) return Number.POSITIVE_INFINITY;
    await clock.sleep(CUT_POLL_MS);
  }
  return clock.monotonic() - start;
}
