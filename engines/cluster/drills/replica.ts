/**
 * The drill that makes a replica lag: its replaying process is stopped during many writes. (A pause by
 * pg_wal_replay_pause would not last: Patroni ends it.)
 */
import pg from 'pg';
import { REPLICA_LAG_LIMIT } from '../configuration.ts';
import { members } from '../patroni.ts';
import { postmasterOf, replayerOf, signal } from '../processes.ts';
import type { Tier } from '../tier.ts';
import type { Drill } from './drill.ts';
import { within } from './verdict.ts';

/** Patroni reports the position of the primary to its members every 5 s (loop_wait), HAProxy asks every 2 s. */
const OUT_LIMIT_MS = 15_000;
const BACK_LIMIT_MS = 30_000;
const AWAY_MS = 2_000;
const CONNECT_LIMIT_MS = 5_000;
/** 24 messages of 1 MB of WAL: past the limit of 16 MB, in steps that each end quickly. */
const MESSAGES = 24;
const MESSAGE_BYTES = 1_000_000;

export const replicaLag: Drill = {
  name: 'replica-lag',
  purpose: `a replica lags more than ${REPLICA_LAG_LIMIT} of WAL behind and must get no reads`,
  promise: { mayFail: 'none', writeSilenceMs: 2_000, readSilenceMs: 2_000, losableMs: 0 },
  service: {
    mayFail: 'none',
    limits: { readsMs: 2_000, writesMs: 2_000 },
    told: {
      ...{ by: [], severity: 'warning', withinMs: 0 },
      alsoBy: ['postgresdown', 'replicalag', 'poolwait', 'slowanswers'],
    },
  },
  run: async (context) => {
    const { tier, watch, clock, say, wait } = context;
    const name = (await members(tier.layout.nodes))?.find((member) => member.role !== 'leader')?.name;
    const replica = tier.layout.nodes.find((node) => node.name === name);
    if (!replica) throw new Error('there is no replica');
    const postmaster = postmasterOf(replica.folder);
    const replayer = postmaster && replayerOf(postmaster);
    if (!replayer) throw new Error(`no process replays WAL in ${replica.folder}`);
    // Should this process be killed, the supervisor resumes the replay.
    await tier.hold(replica.name);
    signal(replayer, 'SIGSTOP');
    let outMs = Number.POSITIVE_INFINITY;
    let brokenAt: number;
    try {
      await writeMuch(tier);
      brokenAt = context.broken(`${replica.name} has stopped replaying, ${MESSAGES} MB behind`);
      outMs = await wait(() => watch.server('replicas', replica.name) === 'down', OUT_LIMIT_MS);
      if (Number.isFinite(outMs)) say('the lagging replica is out: reads go to the other replica');
      await clock.sleep(AWAY_MS);
    } finally {
      signal(replayer, 'SIGCONT');
      await tier.release(replica.name);
      say(`${replica.name} replays again`);
    }
    const backMs = await wait(() => watch.server('replicas', replica.name) === 'up', BACK_LIMIT_MS);
    return {
      brokenAt,
      routedAroundAt: brokenAt + outMs,
      findings: [
        within('the replica is out of the reads', outMs, OUT_LIMIT_MS),
        within('once it has caught up, the replica gets reads again', backMs, BACK_LIMIT_MS),
      ],
    };
  },
};

async function writeMuch(tier: Tier): Promise<void> {
  const client = new pg.Client({
    connectionString: tier.writeUrl,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
  });
  await client.connect();
  try {
    for (let i = 0; i < MESSAGES; i++) {
      // A message in the WAL that no table keeps.
      await client.query("SELECT pg_logical_emit_message(false, 'drill', repeat('x', $1))", [MESSAGE_BYTES]);
    }
  } finally {
    await client.end();
  }
}
