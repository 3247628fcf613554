import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStallJudge, LOOK_MS, parseSessions, parseSockets, STALLED_MS } from './slow_clients.ts';

const client = '127.0.0.1:41000';

/** Watches one client until it is cut; @returns after how many milliseconds, or undefined */
function cutAfter(
  takes: (ms: number) => number,
  { unread = 60_000, everyMs = LOOK_MS, forMs = 60_000 } = {},
): number | undefined {
  const judge = createStallJudge();
  for (let ms = 0; ms <= forMs; ms += everyMs)
    if (judge.look([{ client, unread, taken: takes(ms) }], ms).includes(client)) return ms;
  return undefined;
}

test('a client that reads nothing is cut after the limit, and no sooner', () => {
  assert.equal(
    cutAfter(() => 4_711),
    STALLED_MS,
  );
});

for (const [what, takes] of [
  ['a kilobyte a second', (ms: number) => 1_024 * Math.floor(ms / 1_000)],
  ['a byte each 2.5 s', (ms: number) => Math.floor(ms / 2_500)],
  ['ever less, but something', (ms: number) => 1_000 - 1_000 / (1 + ms)],
] as const)
  test(`a client that reads ${what} is never cut`, () => assert.equal(cutAfter(takes), undefined));

test('a client that stops in the middle is cut after the limit from there on', () => {
  assert.equal(
    cutAfter((ms) => Math.min(ms, 10_000)),
    10_000 + STALLED_MS,
  );
});

test('a client that has read all its bytes waits for the door, and is not cut', () => {
  assert.equal(
    cutAfter(() => 4_711, { unread: 0 }),
    undefined,
  );
});

test('late looks prove nothing: the machine was busy, and perhaps the client, too', () => {
  assert.equal(
    cutAfter(() => 4_711, { everyMs: LOOK_MS + 1_500 }),
    undefined,
  );
});

test('a client without waiting bytes at a look starts again from zero', () => {
  const judge = createStallJudge();
  const stuck = [{ client, unread: 1, taken: 5 }];
  for (let ms = 0; ms < STALLED_MS; ms += LOOK_MS) assert.deepEqual(judge.look(stuck, ms), []);
  assert.deepEqual(judge.look([], STALLED_MS), []);
  assert.deepEqual(judge.look(stuck, STALLED_MS + LOOK_MS), []);
});

test('the output of ss is parsed, with figures and without', () => {
  const text = `0      545792 127.0.0.1:21001 127.0.0.1:35282
64512 0 127.0.0.1:35282 127.0.0.1:21001 \t cubic wscale:7,7 rto:204 bytes_sent:512 bytes_acked:513 bytes_received:4000000 segs_out:9

`;
  assert.deepEqual(parseSockets(text), [
    { local: '127.0.0.1:21001', peer: '127.0.0.1:35282', unread: 0, unsent: 545_792, received: 0 },
    { local: '127.0.0.1:35282', peer: '127.0.0.1:21001', unread: 64_512, unsent: 0, received: 4_000_000 },
  ]);
});

test("only clients' sessions are found in the list of HAProxy", () => {
  const text = `0x55f04ae15aa0: proto=tcpv4 src=127.0.0.1:35282 fe=reads be=read_bouncers srv=pgr1 ts=00 epoch=0 age=10s
0x55f04ae16650: proto=tcpv4 src=127.0.0.1:35298 fe=replicas be=replicas srv=node2 ts=00 epoch=0 age=10s
0x55f04ae17650: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s
0x55f04ae18650: proto=tcpv4 src=127.0.0.1:35300 fe=writes be=bouncers srv=pgb1 ts=00 epoch=0 age=2m
`;
  assert.deepEqual(parseSessions(text), [
    { session: '0x55f04ae15aa0', client: '127.0.0.1:35282', door: 'reads' },
    { session: '0x55f04ae18650', client: '127.0.0.1:35300', door: 'writes' },
  ]);
});
