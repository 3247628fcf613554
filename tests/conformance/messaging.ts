/**
 * What messages promise, whatever carries them; messaging_postgres.test.ts and messaging_rabbitmq.test.ts run it. Kills and
 * freezes: messaging_faults.ts.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Type } from 'typebox';
import { until } from '#engines/cluster/processes.ts';
import { withSession, withTransaction } from '#platform/database/pool.ts';
import type { Handler, Incoming } from '#platform/messaging/consumer.ts';
import {
  countDeadLetters,
  deadLetter,
  listDeadLetters,
  replayDeadLetters,
} from '#platform/messaging/dead_letters.ts';
import { once } from '#platform/messaging/once.ts';
import { announce, publish } from '#platform/messaging/publish.ts';
import { pauseQueue, resumeQueue } from '#platform/messaging/queues.ts';
import { broadcast } from '#platform/messaging/topic.ts';
import { inSpan, startTrace } from '#platform/telemetry/tracing/tracing.ts';
import { FAST, factsOf, jobsOf, type Numbered, numbered, type TestMessages } from '#tests/messages.ts';
import type { ReceivedSpan } from '#tests/otlp_receiver.ts';
import { traceThisProcess } from '#tests/traced.ts';

const LIMIT_MS = 15_000;
/** Keys of messages may name customers: no span holds one. */
const SECRET_KEY = 'account 4711';

/** A handler that notes what it was given. */
function noting(): { readonly seen: number[]; readonly handle: Handler<Numbered> } {
  const seen: number[] = [];
  const handle = async ({ body }: Incoming<Numbered>) => {
    seen.push(body.n);
    return 'done' as const;
  };
  return { seen, handle };
}

const eventually = async (holds: () => boolean | Promise<boolean>, what: string) =>
  assert.ok(await until(holds, LIMIT_MS), what);

/** Adds the tests. */
export function messagingPromises(messages: TestMessages): void {
  const { pool } = messages;
  const isEmpty = async (queue: string) => {
    const state = await messages.queue(queue);
    return !state || state.ready + state.leased + state.delayed + state.blocked === 0;
  };

  suite('publishing', () => {
    test('what is rolled back is never seen; what is committed is, under the id that was given', async () => {
      const topic = jobsOf('publishing');
      const failed = withTransaction(pool, async (session) => {
        await publish(session, numbered(topic, [1]));
        throw new Error('rolled back');
      });
      await assert.rejects(failed, /rolled back/);
      const [id] = await messages.publish(numbered(topic, [2]));
      const ids: string[] = [];
      const { stop } = messages.start((messaging) =>
        messaging.takeWork(topic, async (message) => void ids.push(message.id), FAST),
      );
      await eventually(() => ids.length > 0, 'the message comes');
      await eventually(() => isEmpty('publishing'), 'the queue is empty');
      await stop();
      assert.deepEqual(ids, [id]);
    });

    test('a message that can be none is refused by name', async () => {
      const topic = jobsOf('refused');
      for (const [options, words] of [
        [{ priority: 10 }, /refused: priority 10 is not a whole number from 0 to 9/],
        [{ priority: 0.5 }, /priority 0.5/],
        [{ notBefore: new Date('never') }, /notBefore is no instant/],
        [{ expiresAt: new Date('never') }, /expiresAt is no instant/],
      ] as const)
        await assert.rejects(messages.publish(numbered(topic, [1], options)), words);
    });
  });

  suite('order', () => {
    test('an urgent message passes 10,000 that wait', async () => {
      const topic = jobsOf('urgent');
      await messages.publish(numbered(topic, 10_000));
      await messages.publish(numbered(topic, [-1], { priority: 9 }));
      const { seen, handle } = noting();
      const { stop } = messages.start((messaging) =>
        messaging.takeWork(topic, handle, { ...FAST, concurrency: 1 }),
      );
      await eventually(() => seen.length > 0, 'the first comes');
      assert.equal(seen[0], -1);
      await eventually(() => seen.length > 100, 'more come');
      await stop();
      const others = seen.slice(1);
      assert.deepEqual(
        others,
        others.map((_, n) => n),
      );
    });

    test('a message for later stands in nobody’s way', async () => {
      const topic = jobsOf('later');
      const inMs = (ms: number) => ({ notBefore: new Date(Date.now() + ms), priority: 9 });
      await messages.publish([
        ...numbered(topic, [1], inMs(3_600_000)),
        ...numbered(topic, [2], inMs(300)),
        ...numbered(topic, [3]),
      ]);
      const { seen, handle } = noting();
      const { stop } = messages.start((messaging) => messaging.takeWork(topic, handle, FAST));
      await eventually(() => seen.length === 2, 'two come');
      await stop();
      assert.deepEqual(seen, [3, 2]);
      assert.equal((await messages.queue('later'))?.delayed, 1);
    });

    test('messages of one key: in order and one at a time, through retries, in several processes; other keys do not wait', async () => {
      let round = 0;
      const histories = fc.array(
        fc.record({
          key: fc.constantFrom('a', 'b', 'c', undefined),
          failures: fc.integer({ min: 0, max: 2 }),
        }),
        { minLength: 1, maxLength: 20 },
      );
      await fc.assert(
        fc.asyncProperty(histories, fc.integer({ min: 1, max: 5 }), async (history, batch) => {
          const topic = jobsOf(`keyed ${round++}`);
          const ended: { key: string | null; n: number }[] = [];
          const open = new Set<string>();
          const handle: Handler<Numbered> = async ({ key, body: { n } }, { number }) => {
            if (key !== null) {
              assert.ok(!open.has(key), `two of ${key} at once`);
              open.add(key);
            }
            await sleep(1);
            if (key !== null) open.delete(key);
            if (number <= history[n]!.failures) throw new Error('not yet');
            ended.push({ key, n });
            return 'done';
          };
          const processes = [1, 2].map(() =>
            messages.start((messaging) => messaging.takeWork(topic, handle, FAST)),
          );
          for (let from = 0; from < history.length; from += batch) {
            const some = history.slice(from, from + batch);
            await messages.publish(
              some.flatMap(({ key }, n) => numbered(topic, [from + n], key === undefined ? {} : { key })),
            );
          }
          await eventually(() => ended.length >= history.length, `all of ${JSON.stringify(history)}`);
          await Promise.all(processes.map(({ stop }) => stop()));
          assert.equal(ended.length, history.length, 'each once');
          for (const wanted of ['a', 'b', 'c']) {
            const numbers = ended.filter(({ key }) => key === wanted).map(({ n }) => n);
            assert.deepEqual(
              numbers,
              [...numbers].sort((a, b) => a - b),
              wanted,
            );
          }
        }),
        { numRuns: 6 },
      );
    });

    test('a message behind one of a transaction that ended unseen is released', async () => {
      const topic = jobsOf('forgotten');
      await messages.publish(numbered(topic, [1], { key: 'k' }));
      // Blocked behind 1, and not committed until 1 is through: 1 could not release it.
      const { seen, handle } = noting();
      let stop = async () => {};
      await withTransaction(pool, async (session) => {
        await publish(session, numbered(topic, [2], { key: 'k' }));
        ({ stop } = messages.start((messaging) => messaging.takeWork(topic, handle, FAST)));
        await eventually(() => seen.length === 1, 'the first is handled');
        await eventually(async () => (await messages.queue('forgotten'))?.leased !== 1, 'and gone');
      });
      await eventually(() => seen.length === 2, 'the second is handled');
      await stop();
      assert.deepEqual(seen, [1, 2]);
    });
  });

  suite('what fails', () => {
    const dead = (queue: string) =>
      withSession(pool, (session) => session.rows(listDeadLetters({ queue }, 0, 100)));
    const bodies = async (queue: string) =>
      Promise.all(
        (await dead(queue)).map(async ({ i_dead_letter: iDeadLetter }) => {
          const found = await withSession(pool, (session) => session.row(deadLetter(queue, iDeadLetter)));
          return found!.body;
        }),
      );

    test('is tried again up to its last attempt, and then is a dead letter with its cause', async () => {
      const topic = jobsOf('failing');
      const [id] = await messages.publish(numbered(topic, [1]));
      const attempts: number[] = [];
      const { stop } = messages.start((messaging) =>
        messaging.takeWork(
          topic,
          async (_message, { number }) => {
            attempts.push(number);
            throw new Error(`no ${number}`);
          },
          FAST,
        ),
      );
      await eventually(async () => (await dead('failing')).length > 0, 'it is given up');
      await stop();
      assert.deepEqual(attempts, [1, 2, 3, 4, 5]);
      const [letter] = await dead('failing');
      assert.equal(letter!.cause, 'attempts_used_up');
      assert.equal(letter!.error, 'no 5');
      assert.equal(letter!.id, id);
      assert.deepEqual(await bodies('failing'), [{ n: 1 }]);
    });

    test('a handler’s own cause ends it at once, and what is behind it in its key goes on', async () => {
      const topic = jobsOf('refusing');
      await messages.publish(numbered(topic, [1, 2], { key: 'k' }));
      const seen: number[] = [];
      const { stop } = messages.start((messaging) =>
        messaging.takeWork(
          topic,
          async ({ body: { n } }) => {
            seen.push(n);
            return n === 1 ? { dead: 'no_such_address' } : 'done';
          },
          FAST,
        ),
      );
      await eventually(() => seen.length === 2, 'both');
      await eventually(() => isEmpty('refusing'), 'the queue is empty');
      await stop();
      assert.deepEqual(
        (await dead('refusing')).map(({ cause, attempt }) => [cause, attempt]),
        [['no_such_address', 1]],
      );
    });

    test('what expires before its next attempt is not tried again', async () => {
      const topic = jobsOf('expiring');
      await messages.publish(numbered(topic, [1], { expiresAt: new Date(Date.now() + 700) }));
      let attempts = 0;
      const { stop } = messages.start((messaging) =>
        messaging.takeWork(
          topic,
          async () => {
            attempts++;
            return { retryAfterMs: 900, error: 'not yet' };
          },
          FAST,
        ),
      );
      await eventually(async () => (await dead('expiring')).length > 0, 'it is given up');
      await stop();
      assert.equal(attempts, 1);
      assert.equal((await dead('expiring'))[0]!.cause, 'expired');
    });

    test('a version that the consumer does not know waits as a dead letter', async () => {
      const topic = jobsOf('newer');
      await messages.publish(numbered({ ...topic, version: 2 }, [1]));
      const { seen, handle } = noting();
      const { stop } = messages.start((messaging) => messaging.takeWork(topic, handle, FAST));
      await eventually(async () => (await dead('newer')).length > 0, 'it is set aside');
      await stop();
      assert.deepEqual(seen, []);
      assert.equal((await dead('newer'))[0]!.cause, 'unknown_version');
    });

    test('dead letters are replayed up to a cap, in their order, and expired ones never', async () => {
      const topic = jobsOf('replayed');
      const gone = { expiresAt: new Date(Date.now() + 3_000) };
      await messages.publish([...numbered(topic, [0], gone), ...numbered(topic, [1, 2, 3, 4], { key: 'k' })]);
      const failing = messages.start((messaging) =>
        messaging.takeWork(topic, async () => ({ dead: 'broken' }), FAST),
      );
      await eventually(async () => (await dead('replayed')).length === 5, 'all are dead');
      await failing.stop();
      await sleep(3_000);
      const filter = { queue: 'replayed', cause: 'broken' };
      const counts = await withSession(pool, (session) => session.row(countDeadLetters(filter)));
      assert.deepEqual(counts, { dead: 4, expired: 1 });
      const back = await withSession(pool, (session) => session.rows(replayDeadLetters(filter, 3)));
      assert.equal(back.length, 3);
      const { seen, handle } = noting();
      const { stop } = messages.start((messaging) => messaging.takeWork(topic, handle, FAST));
      await eventually(() => seen.length === 3, 'three come back');
      await stop();
      assert.deepEqual(seen, [1, 2, 3]);
      assert.deepEqual(await bodies('replayed'), [{ n: 0 }, { n: 4 }]);
    });
  });

  test('a paused queue hands out nothing, gives back what has not begun, and counts no attempt', async () => {
    const topic = jobsOf('paused');
    await messages.publish(numbered(topic, 50));
    const attempts: number[] = [];
    let release = () => {};
    const released = new Promise<void>((done) => {
      release = done;
    });
    const handle: Handler<Numbered> = async (_message, { number }) => {
      attempts.push(number);
      await released;
      return 'done';
    };
    const { stop } = messages.start((messaging) =>
      messaging.takeWork(topic, handle, { ...FAST, concurrency: 2 }),
    );
    await eventually(() => attempts.length === 2, 'two begin');
    await withSession(pool, (session) => session.run(pauseQueue('paused', 'a test')));
    await sleep(1_500);
    release();
    await eventually(async () => (await messages.queue('paused'))?.leased === 0, 'two end');
    await sleep(1_200);
    assert.equal(attempts.length, 2);
    const state = await messages.queue('paused');
    assert.equal(state?.paused_by, 'a test');
    await withSession(pool, (session) => session.run(resumeQueue('paused')));
    await eventually(() => attempts.length === 50, 'the rest');
    await eventually(() => isEmpty('paused'), 'and no more');
    await stop();
    assert.deepEqual(new Set(attempts), new Set([1]));
    assert.equal(attempts.length, 50);
  });

  suite('events', () => {
    test('each consumer gets each event once, its processes share them out; a later one gets those that are kept', async () => {
      const topic = factsOf('shared.out');
      const seen: Record<string, number[]> = { first: [], second: [], later: [] };
      const to =
        (name: string): Handler =>
        async ({ body }) =>
          void seen[name]!.push((body as Numbered).n);
      const add = (name: string, since: 'now' | 'kept') =>
        messages.start((messaging) =>
          messaging.subscribe(`${name} of shared`, [topic], to(name), { ...FAST, since }),
        );
      const running = [add('first', 'now'), add('first', 'now'), add('second', 'now')];
      await eventually(async () => (await messages.queue('second of shared')) !== undefined, 'subscribed');
      await eventually(async () => (await messages.queue('first of shared')) !== undefined, 'subscribed');
      await messages.publish(numbered(topic, 200));
      await eventually(() => seen.first!.length >= 200 && seen.second!.length >= 200, 'all come');
      running.push(add('later', 'kept'));
      await eventually(() => seen.later!.length >= 200, 'the kept ones come');
      await Promise.all(running.map(({ stop }) => stop()));
      const all = Array.from({ length: 200 }, (_, n) => n);
      for (const [name, numbers] of Object.entries(seen))
        assert.deepEqual(
          [...numbers].sort((a, b) => a - b),
          all,
          name,
        );
    });

    test('a subscription that is made while many publish misses none from then on, and doubles none', async () => {
      const topic = factsOf('while.publishing');
      let published = 0;
      const publishers = [1, 2, 3].map(async () => {
        for (let round = 0; round < 40; round++) {
          await withTransaction(pool, async (session) => {
            await publish(session, numbered(topic, [published++]));
            await sleep(5);
          });
        }
      });
      await sleep(50);
      const { seen, handle } = noting();
      const { stop } = messages.start((messaging) =>
        messaging.subscribe('late comer', [topic], handle as Handler, { ...FAST, since: 'kept' }),
      );
      await Promise.all(publishers);
      await eventually(() => seen.length >= 120, 'all come');
      await eventually(() => isEmpty('late comer'), 'and no more');
      await stop();
      assert.deepEqual(
        [...seen].sort((a, b) => a - b),
        Array.from({ length: 120 }, (_, n) => n),
      );
    });
  });

  test('a broadcast reaches every living process once, also from a transaction that ends late', async () => {
    const topic = broadcast({
      name: 'cache.stale',
      version: 1,
      purpose: 'an entry no longer holds',
      body: Type.Object({ n: Type.Integer() }),
    });
    const heard: number[][] = [[], []];
    const running = heard.map((numbers) =>
      messages.start((messaging) => messaging.listen(topic, ({ n }) => numbers.push(n))),
    );
    const tell = (n: number, holdMs = 0) =>
      withTransaction(pool, async (session) => {
        await announce(session, topic, { n });
        await sleep(holdMs);
      });
    await sleep(1_200);
    const late = tell(1, 2_500);
    await sleep(100);
    await tell(2);
    await late;
    await tell(3);
    await eventually(() => heard.every((numbers) => numbers.length >= 3), 'three are heard');
    await sleep(1_200);
    await Promise.all(running.map(({ stop }) => stop()));
    for (const numbers of heard) assert.deepEqual([...numbers].sort(), [1, 2, 3]);
  });

  test('an effect happens once, however many copies of its message are handled at once', async () => {
    const [id] = await messages.publish(numbered(jobsOf('copies'), [1]));
    let effects = 0;
    const copies = await Promise.all(
      Array.from({ length: 8 }, () =>
        withTransaction(pool, (session) =>
          once(session, 'copies', id!, async () => {
            effects++;
            await sleep(20);
          }),
        ),
      ),
    );
    assert.equal(effects, 1);
    assert.equal(copies.filter(Boolean).length, 1);
  });

  test('the trace of a publisher goes on in each attempt of each consumer, linked to it; other messages have none', async () => {
    const { receiver, stop: stopTracing } = await traceThisProcess({ ratio: 0 });
    const topic = factsOf('traced.fact');
    const seen: Incoming[] = [];
    const { stop } = messages.start((messaging) => {
      messaging.subscribe('traced.steady', [topic], async (message) => {
        seen.push(message);
        await withSession(pool, (session) => session.rows(countDeadLetters({ queue: 'none' })));
        return 'done';
      });
      messaging.subscribe(
        'traced.failing',
        [topic],
        async (_message, { number }) => (number === 1 ? { retryAfterMs: 10, error: 'not yet' } : 'done'),
        FAST,
      );
    });
    await sleep(300);
    await messages.publish(numbered(topic, [1]));
    const request = startTrace('publisher', () => ({ name: 'POST', kind: 'server' }), {
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    })!;
    await inSpan(request, () => messages.publish(numbered(topic, [2, 3], { key: SECRET_KEY })));
    request.end();
    await eventually(() => seen.length === 3, 'all come');
    const processed = await receiver.waitFor(/^process traced.fact/, 6);
    await stop();
    await stopTracing();
    const [published, ...others] = receiver.spans.filter(({ name }) => name === 'publish traced.fact');
    assert.ok(published && others.length === 0);
    assert.equal(published.parentId, request.spanId);
    assert.deepEqual(published.attributes, {
      'messaging.system': 'postgresql',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'traced.fact',
      'messaging.batch.message_count': 2,
    });
    const below = ({ spanId }: ReceivedSpan) => receiver.spans.filter(({ parentId }) => parentId === spanId);
    assert.deepEqual(
      below(published)
        .map(({ kind, name }) => `${kind} ${name}`)
        .filter((text) => !text.startsWith('consumer')),
      [
        'client WITH messaging.events messaging.subscriptions',
        'client INSERT messaging.messages messaging.subscriptions',
      ],
    );
    assert.equal(processed.length, 6);
    for (const span of processed) {
      assert.deepEqual([span.kind, span.service, span.traceId], ['consumer', 'test', request.traceId]);
      assert.equal(span.parentId, published.spanId);
      assert.deepEqual(span.links, [{ traceId: request.traceId, spanId: published.spanId }]);
      assert.equal(span.attributes['messaging.system'], messages.carrier);
    }
    const attempts = processed.map(({ attributes, isError }) => [
      attributes['messaging.consumer.group.name'],
      attributes['trunkline.message.attempt'],
      isError && attributes['error.type'],
    ]);
    const expected = [
      ['traced.failing', 1, 'retry'],
      ['traced.failing', 2, false],
      ['traced.steady', 1, false],
    ];
    assert.deepEqual(attempts.sort(), [...expected, ...expected].sort());
    const steady = processed.filter(
      (span) => span.attributes['messaging.consumer.group.name'] === 'traced.steady',
    );
    for (const span of steady)
      assert.deepEqual(
        below(span).map(({ name }) => name),
        ['SELECT messaging.dead_letters'],
      );
    assert.equal(seen.filter(({ headers }) => 'traceparent' in headers).length, 2);
    assert.ok(!receiver.bytes().includes(SECRET_KEY));
    assert.deepEqual(receiver.faults, []);
  });
}
