/**
 * The node of RabbitMQ that leads a queue is killed, again and again, while messages are published, relayed and handled. Each time
 * the killed node stays away until messages move again, so that they move without it.
 *
 *   lost        committed by its publisher, and never handled
 *   duplicate   handled once more
 *   in flight   published and not handled, or handled within ACK_MS, at some moment between a kill and the next message that moves
 */
import { randomBytes } from 'node:crypto';
import { Type } from 'typebox';
import { brokerControl, erlangName } from '#engines/broker_node.ts';
import { createPool, withTransaction } from '#platform/database/pool.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { createMessaging } from '#platform/messaging/messaging.ts';
import { publish } from '#platform/messaging/publish.ts';
import { message, work } from '#platform/messaging/topic.ts';
import { brokersHome } from '../layout.ts';
import { groupMembers, signal } from '../processes.ts';
import { waitFor, whatIsMissing } from '../readiness.ts';
import type { Tier } from '../tier.ts';
import { type Finding, within } from './verdict.ts';

/** Messages move again so long after each kill. */
const MOVES_LIMIT_MS = 60_000;
const WHOLE_LIMIT_MS = 90_000;
const HANDLED_LIMIT_MS = 60_000;
/** An acknowledgement may be on its way for so long. */
const ACK_MS = 1_000;
const PUBLISH_EVERY_MS = 20;
const BATCH = 4;
/** The killed node stays away for so long at least. */
const AWAY_MS = 5_000;
const STEADY_MS = 1_000;
const POLL_MS = 20;

export interface LeaderCrashReport {
  readonly drill: string;
  readonly kills: readonly {
    readonly node: string;
    readonly movedAgainMs: number;
    readonly inFlight: number;
  }[];
  readonly published: number;
  readonly publishFailed: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly findings: readonly Finding[];
  readonly passed: boolean;
}

export interface LeaderCrashOptions {
  readonly tier: Tier;
  readonly clock: Clock;
  readonly kills: number;
  readonly say: (text: string) => void;
  /** Interrupts the drill: the killed node is released, and it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** When a message was committed, and when it was handled, monotonic. */
interface Course {
  readonly committedAt: number;
  readonly handledAt: number[];
}

/** @throws Error when the tier is not complete before, or does not become so again, or the drill is interrupted */
export async function runLeaderCrash(options: LeaderCrashOptions): Promise<LeaderCrashReport> {
  const { tier, clock, kills, say, signal: givenUp } = options;
  const queue = `drill.${randomBytes(4).toString('hex')}`;
  const topic = work({
    name: queue,
    version: 1,
    purpose: 'a drill',
    body: Type.Object({ n: Type.Integer() }),
  });
  const courses: Course[] = [];
  let publishFailed = 0;
  let reason = '';
  const pool = createPool({
    ...{ url: tier.writeUrl, applicationName: 'trunkline-drill', size: 4 },
    onIdleError: () => undefined,
  });
  const messaging = createMessaging({
    ...{ service: 'drill', pool, clock, random: Math.random, onEvent: () => undefined },
    brokerUrl: tier.brokerUrl,
  });
  messaging.takeWork(topic, async ({ body: { n } }) => void courses[n]!.handledAt.push(clock.monotonic()));
  const stopping = new AbortController();
  const running = messaging.run(stopping.signal);
  const publishing = new AbortController();

  async function publishUntil(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const first = courses.length;
      // A message may be handled before its publisher knows that it is committed.
      for (let n = 0; n < BATCH; n++) courses.push({ committedAt: clock.monotonic(), handledAt: [] });
      const bodies = Array.from({ length: BATCH }, (_, index) => ({ n: first + index }));
      try {
        await withTransaction(pool, (session) =>
          publish(
            session,
            bodies.map((body) => message(topic, body)),
          ),
        );
      } catch (error) {
        publishFailed += BATCH;
        reason = String(error);
      }
      await clock.sleep(PUBLISH_EVERY_MS, over).catch(() => undefined);
    }
  }

  const control = (...words: string[]) => {
    const [{ epmdPort }] = tier.layout.brokers as [(typeof tier.layout.brokers)[0]];
    const tries = tier.layout.brokers.map(({ name }) =>
      brokerControl(brokersHome(tier.layout.folders.data), epmdPort, name, words),
    );
    return Promise.any(tries);
  };
  const state = async () => {
    const rows = JSON.parse(
      await control('list_queues', 'name', 'leader', 'online', '--formatter', 'json'),
    ) as { name: string; leader: string; online: string[] }[];
    return rows.find(({ name }) => name === queue);
  };
  const whole = () =>
    waitFor(
      WHOLE_LIMIT_MS,
      async () => {
        const missing = await whatIsMissing(tier);
        if (missing !== undefined) return missing;
        const online = (await state())?.online.length ?? 0;
        return online < tier.layout.brokers.length ? `${online} members of the queue are online` : undefined;
      },
      givenUp,
    );
  const until = async (holds: () => boolean, limitMs: number): Promise<boolean> => {
    for (const end = clock.monotonic() + limitMs; !holds(); ) {
      if (clock.monotonic() > end) return false;
      await clock.sleep(POLL_MS, givenUp);
    }
    return true;
  };

  async function killLeader() {
    await whole();
    await clock.sleep(STEADY_MS, givenUp);
    const leader = (await state())?.leader;
    const node = tier.layout.brokers.find(({ name }) => erlangName(name) === leader);
    if (!node) throw new Error(`no node leads ${queue}`);
    const { pid } = await tier.processOf(node.name);
    await tier.hold(node.name);
    try {
      const killedAt = clock.monotonic();
      for (const member of groupMembers(pid)) signal(member, 'SIGKILL');
      // Published after the kill: it has gone through the relay, a node and the consumer since.
      const later = courses.length;
      const moved = () => courses.slice(later).find(({ handledAt }) => handledAt.length > 0);
      await until(() => moved() !== undefined, MOVES_LIMIT_MS);
      const movedAt = moved()?.handledAt[0] ?? Number.POSITIVE_INFINITY;
      const movedAgainMs = movedAt - killedAt;
      say(`${node.name} killed; messages moved again after ${(movedAgainMs / 1_000).toFixed(1)} s`);
      if (movedAgainMs < AWAY_MS) await clock.sleep(AWAY_MS - movedAgainMs, givenUp);
      return { node: node.name, killedAt, movedAt, movedAgainMs };
    } finally {
      await tier.release(node.name);
    }
  }

  const done: Awaited<ReturnType<typeof killLeader>>[] = [];
  const publisher = publishUntil(publishing.signal);
  let handled = false;
  try {
    await until(() => courses.some(({ handledAt }) => handledAt.length > 0), HANDLED_LIMIT_MS);
    for (let kill = 0; kill < kills; kill++) done.push(await killLeader());
    await whole();
    publishing.abort();
    await publisher;
    handled = await until(() => courses.every(({ handledAt }) => handledAt.length > 0), HANDLED_LIMIT_MS);
    // Duplicates may still come.
    await clock.sleep(ACK_MS, givenUp);
  } finally {
    publishing.abort();
    await publisher;
    stopping.abort();
    await running;
    await pool.end();
    await control('delete_queue', queue).catch(() => undefined);
  }

  const inFlightAt = ({ killedAt, movedAt }: { killedAt: number; movedAt: number }) =>
    courses.filter(
      ({ committedAt, handledAt: [first = Number.POSITIVE_INFINITY] }) =>
        committedAt <= movedAt && first >= killedAt - ACK_MS,
    ).length;
  const told = done.map((kill) => ({
    ...{ node: kill.node, movedAgainMs: Math.round(kill.movedAgainMs) },
    inFlight: inFlightAt(kill),
  }));
  const lost = handled ? 0 : courses.filter(({ handledAt }) => handledAt.length === 0).length;
  const duplicates = courses.reduce((sum, { handledAt }) => sum + Math.max(0, handledAt.length - 1), 0);
  const inFlight = told.reduce((sum, one) => sum + one.inFlight, 0);
  const slowest = Math.max(...done.map(({ movedAgainMs }) => movedAgainMs));
  const findings: Finding[] = [
    {
      ...{ about: 'writes', promise: 'no message is lost', kept: lost === 0 },
      measured: `${lost} of ${courses.length}`,
    },
    {
      ...{ about: 'requests', promise: 'publishing never fails', kept: publishFailed === 0 },
      measured: `${publishFailed} of ${courses.length} failed${reason && `, the last one: ${reason}`}`,
    },
    {
      ...{ about: 'writes', promise: 'no more duplicates than were in flight', kept: duplicates <= inFlight },
      measured: `${duplicates} of ${inFlight} in flight`,
    },
    within('after each kill messages move again', slowest, MOVES_LIMIT_MS),
  ];
  return {
    drill: 'rabbitmq-leader-crash',
    ...{ kills: told, published: courses.length, publishFailed, lost, duplicates, findings },
    passed: findings.every(({ kept }) => kept),
  };
}
