import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AlertBook } from './alert_book.ts';
import { advanceAlerts, emptyBook, FLAP_CHANGES, FLAP_QUIET_MS, noteShortOutage } from './alerts.ts';
import type { AlertEvent } from './announce.ts';
import { CAUSE_SEEN_LATER_MS, CONSEQUENCE_GRACE_MS, FLAP_TOLD_AFTER_MS } from './excuses.ts';
import { noticesOf } from './notice.ts';
import type { Rule } from './rule.ts';
import { createHistory, type Sample, sample } from './samples.ts';

const POLL_MS = 10_000;
const down = (overrides: Partial<Rule> = {}): Rule =>
  ({
    name: 'Down',
    severity: 'warning',
    title: 'Part Alert',
    message: '{server} is DOWN',
    recovery: '{server} is back UP',
    measure: { kind: 'last', aggregate: 'max', metric: 'down', by: ['server'] },
    above: 0,
    forS: 0,
    source: 'haproxy',
    ...overrides,
  }) as Rule;
const doorDown = down({
  name: 'DoorDown',
  message: '{door} is DOWN',
  recovery: '{door} is back UP',
  measure: { kind: 'last', aggregate: 'max', metric: 'door_down', by: ['door'] },
});

/** Polls, each with the servers that are DOWN at it. */
function watch(rules: readonly Rule[] = [down()], book: AlertBook = emptyBook()) {
  const history = createHistory(60_000);
  let now = 1_000_000;
  const poll = (figures: Record<string, number>, metric = 'down', answered = true): AlertEvent[] => {
    now += POLL_MS;
    const samples: Sample[] = Object.entries(figures).map(([server, value]) => {
      return server.startsWith('door')
        ? sample('door_down', { door: server }, value)
        : sample(metric, { server }, value);
    });
    history.add(now, samples);
    return advanceAlerts(book, rules, history, { haproxy: answered, services: new Set() });
  };
  const said = (figures: Record<string, number>, answered = true) =>
    poll(figures, 'down', answered).map(
      ({ kind, alert }) => `${kind}: ${kind === 'resolved' ? alert.recovery : alert.message}`,
    );
  const after = (ms: number) => {
    now += ms;
  };
  return { said, poll, after, book, now: () => now };
}

test('a change is announced once, and its end with its length', () => {
  const { said, poll } = watch();
  assert.deepEqual(said({ pgb1: 0, pgb2: 0 }), []);
  assert.deepEqual(said({ pgb1: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(said({ pgb1: 0, pgb2: 1 }), []);
  const [end] = poll({ pgb1: 0, pgb2: 0 });
  assert.deepEqual([end?.kind, end?.alert.recovery, end?.lastedMs], ['resolved', 'pgb2 is back UP', 20_000]);
  assert.deepEqual(said({ pgb1: 0, pgb2: 0 }), []);
});

test('a part that is DOWN at the first poll is announced', () => {
  assert.deepEqual(watch().said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('a book read back from its JSON repeats nothing', () => {
  const first = watch();
  first.said({ pgb2: 1 });
  const second = watch([down()], JSON.parse(JSON.stringify(first.book)));
  assert.deepEqual(second.said({ pgb2: 1 }), []);
  assert.deepEqual(second.said({ pgb2: 0 }), ['resolved: pgb2 is back UP']);
});

test('`for`: it must hold without a break', () => {
  const { said } = watch([down({ forS: 20 })]);
  assert.deepEqual(said({ pgb2: 1 }), []);
  assert.deepEqual(said({ pgb2: 1 }), []);
  assert.deepEqual(said({ pgb2: 0 }), []);
  assert.deepEqual(said({ pgb2: 1 }), []);
  assert.deepEqual(said({ pgb2: 1 }), []);
  assert.deepEqual(said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('while the source does not answer, or a state is unknown, an alert stays as it is', () => {
  const { said, book } = watch();
  said({ pgb2: 1 });
  assert.deepEqual(said({}, false), []);
  assert.deepEqual(said({ pgb2: Number.NaN }), []);
  assert.equal(Object.keys(book.active).length, 1);
  assert.deepEqual(said({ pgb2: 0 }), ['resolved: pgb2 is back UP']);
});

test('a part that was removed is not reported as UP', () => {
  const { poll } = watch();
  poll({ pgb2: 1 });
  const [end] = poll({ pgb1: 0 });
  assert.deepEqual([end?.kind, end?.gone], ['resolved', true]);
});

test('a consequence is not announced while its cause holds, and is announced when it outlives the cause', () => {
  const { said, book } = watch([doorDown, down({ causedBy: ['DoorDown'] })]);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), ['firing: door is DOWN']);
  assert.match(Object.values(book.active).find((a) => a.rule === 'Down')?.cause ?? '', /^DoorDown/);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), ['resolved: door is back UP']);
  for (let ms = POLL_MS; ms < CONSEQUENCE_GRACE_MS; ms += POLL_MS)
    assert.deepEqual(said({ door: 0, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('neither the beginning nor the end of a consequence that ends with its cause is announced', () => {
  const { said } = watch([doorDown, down({ causedBy: ['DoorDown'] })]);
  said({ door: 1, pgb2: 1 });
  assert.deepEqual(said({ door: 0, pgb2: 0 }), ['resolved: door is back UP']);
});

test('a cause explains only alerts with the same labels', () => {
  const { poll } = watch([
    down(),
    down({
      name: 'Slow',
      message: '{server} is slow',
      measure: { kind: 'last', aggregate: 'max', metric: 'slow', by: ['server'] },
      causedBy: ['Down'],
    }),
  ]);
  assert.equal(poll({ pgb1: 1 }).length, 1);
  poll({ pgb2: 1 }, 'slow', false);
  assert.deepEqual(
    poll({ pgb2: 1 }, 'slow', false).map(({ alert }) => alert.message),
    ['pgb2 is slow'],
  );
});

test('one HAProxy of two that is DOWN explains nothing; both do, and for a while longer', () => {
  const { said } = watch([doorDown, down({ causedBy: [{ ofAll: 'DoorDown' }] })]);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 1 }), ['firing: door1 is DOWN']);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 0 }), ['resolved: pgb2 is back UP']);
  assert.deepEqual(said({ door1: 1, door2: 1, pgb2: 1 }), ['firing: door2 is DOWN']);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 1 }), ['resolved: door2 is back UP']);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 1 }), []);
  assert.deepEqual(said({ door1: 1, door2: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('a part that leaves DOWN for another state than UP is not reported as back UP', () => {
  const unless = {
    measure: { kind: 'last', aggregate: 'max', metric: 'out', by: ['server'] },
    words: '{server} was taken out',
  } as const;
  const book = emptyBook();
  const history = createHistory(60_000);
  const ends = [
    [1, 0],
    [0, 1],
  ].flatMap(([isDown, out], poll) => {
    history.add(poll * POLL_MS, [
      sample('down', { server: 'pgb2' }, isDown!),
      sample('out', { server: 'pgb2' }, out!),
    ]);
    return advanceAlerts(book, [down({ unless })], history, { haproxy: true, services: new Set() });
  });
  const notices = noticesOf(ends);
  assert.deepEqual(
    notices.map(({ kind, message }) => [kind, message]),
    [
      ['firing', 'pgb2 is DOWN'],
      ['resolved', 'pgb2 was taken out'],
    ],
  );
});

test('each of several parts that fail together has a message of its own beside the common one', () => {
  const [notice] = noticesOf(watch().poll({ pgb1: 1, pgb2: 1 }));
  assert.deepEqual(notice?.messages, ['pgb1 is DOWN', 'pgb2 is DOWN']);
});

test('the end of flapping is announced, with any number of other alerts in between', () => {
  const { said, after } = watch();
  for (let i = 0; i < FLAP_CHANGES; i++) said({ pgb2: (i + 1) % 2 });
  said(Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`pgx${n}`, 1])));
  said({ pgb2: 0 });
  after(FLAP_QUIET_MS);
  said({ pgb2: 0 });
  assert.deepEqual(said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('a silenced part that stops flapping is announced when the silence ends', () => {
  const { said, book, now, after } = watch();
  const until = now() + 2 * FLAP_QUIET_MS;
  book.silences.push({ id: 's1', match: { server: 'pgb2' }, by: 'ann', reason: 'works', until });
  for (let i = 0; i < FLAP_CHANGES + 1; i++) assert.deepEqual(said({ pgb2: (i + 1) % 2 }), []);
  after(FLAP_QUIET_MS);
  assert.deepEqual(said({ pgb2: 1 }), []);
  after(FLAP_QUIET_MS);
  assert.deepEqual(said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('a silence holds back alerts until its end, and then those that hold are announced', () => {
  const { said, book, now } = watch();
  const until = now() + 35_000;
  book.silences.push({
    id: 's1',
    match: { rule: 'Down', server: 'pgb2' },
    by: 'ann',
    reason: 'works',
    until,
  });
  assert.deepEqual(said({ pgb1: 1, pgb2: 1 }), ['firing: pgb1 is DOWN']);
  assert.deepEqual(said({ pgb1: 1, pgb2: 1 }), []);
  assert.deepEqual(said({ pgb1: 1, pgb2: 1 }), []);
  assert.deepEqual(said({ pgb1: 1, pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(book.silences, []);
});

test('a flapping part is announced as flapping once, and later as stable', () => {
  const { said, after } = watch();
  const lines: string[] = [];
  for (let i = 0; i < 50; i++) lines.push(...said({ pgb2: (i + 1) % 2 }));
  assert.equal(lines.filter((line) => line.startsWith('flapping')).length, 1);
  assert.equal(lines.length, FLAP_CHANGES);
  after(FLAP_QUIET_MS);
  assert.deepEqual(said({ pgb2: 0 }), ['stable: pgb2 is DOWN']);
  assert.deepEqual(said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('short outages between polls make a part flap as well', () => {
  const { book, now, said } = watch();
  const told = Array.from({ length: 10 }, () =>
    noteShortOutage(book, down(), { server: 'pgb2' }, now(), { from: now() - 1_000, to: now() }),
  );
  assert.equal(told.filter(Boolean).length, FLAP_CHANGES / 2 - 1);
  assert.deepEqual(said({ pgb2: 0 }), ['flapping: pgb2 is DOWN']);
  assert.deepEqual(said({ pgb2: 0 }), []);
});

test('in any sequence: only announced alerts have an announced end, and nothing is announced twice', () => {
  const step = fc.record({
    pgb1: fc.constantFrom(0, 1, Number.NaN),
    pgb2: fc.constantFrom(0, 1),
    door: fc.constantFrom(0, 0, 1),
    answered: fc.boolean(),
    silence: fc.constantFrom(0, 0, 0, 15_000),
    restart: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const rules = [doorDown, down({ causedBy: ['DoorDown'], forS: 10 })];
      let watched = watch(rules);
      const open = new Set<string>();
      let now = 0;
      for (const { answered, silence, restart, ...figures } of steps) {
        if (restart) {
          const { book } = watched;
          watched = watch(rules, JSON.parse(JSON.stringify(book)));
          watched.after(now);
        }
        if (silence > 0) {
          const until = watched.now() + silence;
          watched.book.silences.push({ id: 's', match: { server: 'pgb1' }, by: '', reason: '', until });
        }
        const events = watched.poll(answered ? figures : {}, 'down', answered);
        now += POLL_MS;
        for (const { kind, alert } of events) {
          const flapping = watched.book.flapping[alert.key] !== undefined;
          if (kind === 'firing') {
            assert.ok(!open.has(alert.key), `${alert.key} was told twice`);
            assert.ok(!flapping || watched.now() - alert.since >= FLAP_TOLD_AFTER_MS);
            open.add(alert.key);
          } else if (kind === 'resolved') {
            assert.ok(open.delete(alert.key), `the end of ${alert.key}, which was not told`);
          } else if (kind === 'over') assert.ok(!open.has(alert.key) && alert.state === 'resolved');
          else if (kind === 'flapping') open.delete(alert.key);
          else if (alert.state === 'firing') open.add(alert.key);
        }
      }
    }),
  );
});

test('an outage that begins while the part flaps is announced after half a minute, and so is its end', () => {
  const { said } = watch();
  for (let i = 0; i < FLAP_CHANGES; i++) said({ pgb2: (i + 1) % 2 });
  const told = Array.from({ length: FLAP_TOLD_AFTER_MS / POLL_MS + 3 }, () => said({ pgb2: 1 })).flat();
  assert.deepEqual(told, ['firing: pgb2 is DOWN']);
  assert.deepEqual(said({ pgb2: 0 }), ['resolved: pgb2 is back UP']);
});

test('a flapping cause that is held back explains nothing, and is not announced beside an alert with the same meaning', () => {
  const saidBy = [{ of: { door: 'door' }, by: 'Down', where: { server: 'pgb2' } }];
  const { said } = watch([{ ...doorDown, saidBy }, down({ causedBy: ['DoorDown'] })]);
  for (let i = 0; i < FLAP_CHANGES; i++) said({ door: (i + 1) % 2, pgb2: (i + 1) % 2 });
  const told = Array.from({ length: FLAP_TOLD_AFTER_MS / POLL_MS + 3 }, () =>
    said({ door: 1, pgb2: 1 }),
  ).flat();
  assert.deepEqual(told, ['firing: pgb2 is DOWN']);
  assert.deepEqual(said({ door: 0, pgb2: 0 }), ['resolved: pgb2 is back UP']);
});

test('a silenced cause explains nothing, unless it was announced before', () => {
  const silence = (now: number) => ({
    ...{ id: 's1', match: { rule: 'DoorDown' }, by: 'ann', reason: 'works', until: now + 3_600_000 },
  });
  const silenced = watch([doorDown, down({ causedBy: ['DoorDown'] })]);
  silenced.book.silences.push(silence(silenced.now()));
  assert.deepEqual(silenced.said({ door: 1, pgb2: 1 }), []);
  assert.deepEqual(silenced.said({ door: 1, pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(silenced.said({ door: 0, pgb2: 0 }), ['resolved: pgb2 is back UP']);
  const told = watch([doorDown, down({ causedBy: ['DoorDown'] })]);
  assert.deepEqual(told.said({ door: 1 }), ['firing: door is DOWN']);
  told.book.silences.push(silence(told.now()));
  assert.deepEqual(told.said({ door: 1, pgb2: 1 }), []);
});

test('an alert with the same meaning as an announced one is not announced; one with another meaning is', () => {
  const saidBy = [{ of: {}, by: 'Down', where: { server: 'pgb2' } }];
  const same = watch([{ ...doorDown, saidBy }, down()]);
  assert.deepEqual(same.said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(same.said({ pgb2: 1, door: 1 }), []);
  assert.deepEqual(same.said({ pgb2: 0, door: 0 }), ['resolved: pgb2 is back UP']);
  const other = watch([{ ...doorDown, saidBy }, down()]);
  other.said({ pgb1: 1 });
  assert.deepEqual(other.said({ pgb1: 1, door: 1 }), ['firing: door is DOWN']);
});

test('an alert with the same meaning for a limited time is announced when this time is over and it still holds', () => {
  const saidBy = [{ of: {}, by: 'Down', where: {}, withinS: 25 }];
  const { said } = watch([{ ...doorDown, saidBy }, down()]);
  assert.deepEqual(said({ pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.deepEqual(said({ pgb2: 1, door: 1 }), []);
  assert.deepEqual(said({ pgb2: 0, door: 1 }), ['resolved: pgb2 is back UP']);
  assert.deepEqual(said({ pgb2: 0, door: 1 }), ['firing: door is DOWN']);
});

test('an alert that begins after a cause has ended is announced: it is another fault', () => {
  const { said } = watch([doorDown, down({ causedBy: ['DoorDown'] })]);
  said({ door: 1, pgb2: 0 });
  assert.deepEqual(said({ door: 0, pgb2: 0 }), ['resolved: door is back UP']);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

const waiting = down({ causedBy: ['DoorDown'], over: '{server} was DOWN' });

test('a consequence waits for a cause that begins after it, and for a cause that has begun until it is announced', () => {
  const { said, after, book } = watch([{ ...doorDown, forS: 20 } as Rule, waiting]);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), []);
  after(CAUSE_SEEN_LATER_MS - POLL_MS - 1);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), [], 'the cause is pending');
  assert.deepEqual(said({ door: 1, pgb2: 0 }), []);
  assert.deepEqual(said({ door: 1, pgb2: 0 }), ['firing: door is DOWN']);
  assert.match(book.history[0]!.cause ?? '', /^DoorDown/);
  assert.deepEqual(said({ door: 0, pgb2: 0 }), ['resolved: door is back UP']);
});

test('a pending cause that never fires explains nothing: an alert that is over by then is announced once, as over', () => {
  const { poll, said, after } = watch([{ ...doorDown, forS: 20 } as Rule, waiting]);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 1, pgb2: 0 }), []);
  const told = noticesOf(poll({ door: 0, pgb2: 0 }));
  assert.deepEqual(
    told.map(({ kind, message, keys }) => [kind, message, keys]),
    [['notice', 'pgb2 was DOWN', []]],
  );
  assert.match(told[0]!.details[0]!, /^pgb2: for 10 s; it was over before it was reported/);
  after(CONSEQUENCE_GRACE_MS);
  assert.deepEqual(said({ door: 0, pgb2: 0 }), []);
});

test('an alert that ends and holds again before the decision is one alert', () => {
  const { said, after, book } = watch([doorDown, waiting]);
  said({ door: 0, pgb2: 1 });
  after(1_000 - POLL_MS);
  assert.deepEqual(said({ door: 0, pgb2: 0 }), []);
  after(1_000 - POLL_MS);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 0, pgb2: 1 }), ['firing: pgb2 is DOWN']);
  assert.equal(book.count, 1);
  assert.equal(Object.values(book.changes).flat().length, 1);
});

test('a cause that comes and goes does not hold back other alerts for long', () => {
  const { said } = watch([{ ...doorDown, forS: 20 } as Rule, waiting]);
  const told = Array.from({ length: 6 }, (_, n) => said({ door: n % 2, pgb2: 1 })).flat();
  assert.deepEqual(told, ['firing: pgb2 is DOWN']);
});

test('a lost part explains its consequences while clients move, and no longer', () => {
  const { said } = watch([doorDown, down({ causedBy: [{ rule: 'DoorDown', withinS: 25 }] })]);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), ['firing: door is DOWN']);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), []);
  assert.deepEqual(said({ door: 1, pgb2: 1 }), ['firing: pgb2 is DOWN']);
});

test('the details of an announced alert have its consequences', () => {
  const { poll } = watch([doorDown, waiting]);
  const [notice] = noticesOf(poll({ door: 1, pgb2: 1 }));
  assert.deepEqual([notice?.message, notice?.details], ['door is DOWN', ['pgb2 is DOWN']]);
});
