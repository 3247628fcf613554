import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slackMessage } from '#services/monitor/channels/slack.ts';
import type { Notice } from '#services/monitor/notice.ts';
import { RULES, runbookAnchor } from '#services/monitor/rules.ts';
import { drills } from './drills.ts';
import { LOSSES, type ToldPromise } from './losses.ts';
import { judgeTelling, judgeWhole, mostInARow, type Told, toldBySlack } from './telling.ts';

const promise: ToldPromise = {
  by: ['noprimary', 'doorsilent'],
  severity: 'critical',
  withinMs: 10_000,
  alsoBy: ['leaderchanged'],
};
const told = (overrides: Partial<Told> = {}): Told[] =>
  (['slack', 'webhook'] as const).map((channel) => ({
    ...{ channel, afterMs: 3_000, kind: 'firing', severity: 'critical', message: 'no node is the primary' },
    ...{ rule: 'noprimary', keys: channel === 'webhook' ? ['NoPrimary{}'] : [] },
    ...overrides,
  }));
const end = (): Told[] => told({ kind: 'resolved', afterMs: 30_000, message: 'there is a primary again' });
const broken = (evidence: Partial<Parameters<typeof judgeTelling>[0]>) =>
  judgeTelling({
    ...{ promise, told: [...told(), ...end()], writesSilentMs: 20_000, awayMs: 20_000, rejected: [] },
    ...evidence,
  })
    .filter(({ kept }) => !kept)
    .map((finding) => finding.promise);

test('a loss that is reported in time on every channel, once, with its end, keeps the promises', () => {
  assert.deepEqual(broken({}), []);
});

test('no notice, a late notice, only a warning, or only one channel breaks a promise', () => {
  assert.equal(broken({ told: [] }).length, 2);
  assert.equal(broken({ told: [...told({ afterMs: 10_001 }), ...end()] }).length, 2);
  assert.equal(broken({ told: [...told({ severity: 'warning' }), ...end()] }).length, 2);
  assert.match(broken({ told: [told()[1]!, ...end()] }).join(), /^slack reports it[^,]*, as critical/);
});

test('a short silence of writes must be reported only where the promise says so', () => {
  const short = { ...promise, ifWritesSilentMs: 4_000 };
  assert.deepEqual(broken({ promise: short, told: [], writesSilentMs: 3_000 }), []);
  assert.equal(broken({ promise: short, told: [], writesSilentMs: 4_001 }).length, 2);
});

test('a second critical notice, an unexplained one, one without an end, and a refused one break a promise', () => {
  assert.deepEqual(broken({ told: [...told(), ...told({ rule: 'doorsilent', keys: [] }), ...end()] }), [
    'at most one critical notice on each channel',
  ]);
  const stray = told({ rule: 'memoryhigh', severity: 'warning', keys: [] });
  assert.deepEqual(broken({ told: [...told(), ...stray, ...end()] }), [
    'every notice is explained by the fault',
  ]);
  assert.deepEqual(broken({ told: told() }), ['every alert has its end']);
  assert.deepEqual(broken({ rejected: ['no_text'] }), ['every message is accepted by its receiver']);
});

test('a part that is away for a short while must be reported only where the promise says so', () => {
  const short = { ...promise, ifAwayMs: 11_500 };
  assert.deepEqual(broken({ promise: short, told: [], awayMs: 11_500 }), []);
  assert.equal(broken({ promise: short, told: [], awayMs: 11_501 }).length, 2);
  assert.equal(broken({ promise: short, told: [], awayMs: Number.POSITIVE_INFINITY }).length, 2);
});

test('a loss that requires no alert allows only alerts of its consequences', () => {
  const nothing = { ...promise, by: [], severity: 'warning' } as const;
  assert.deepEqual(broken({ promise: nothing, told: [] }), []);
  assert.deepEqual(broken({ promise: nothing }), [
    'no critical notice',
    'every notice is explained by the fault',
  ]);
});

test('several losses in one drill have as many critical notices as promised', () => {
  const twice = { told: [...told(), ...told({ rule: 'doorsilent', keys: [] }), ...end()] };
  assert.deepEqual(broken({ ...twice, promise: { ...promise, criticals: 2 } }), []);
  assert.equal(broken({ ...twice, promise: { ...promise, criticals: 1 } }).length, 1);
});

test('every promised notice is of a known rule or event', () => {
  const known = [...RULES.map(({ name }) => runbookAnchor(name)), 'leaderchanged', 'haproxyrestarted'];
  const promises = [...LOSSES, ...drills.map(({ name, service: { told } }) => ({ name, told }))];
  for (const { name, told } of promises)
    for (const rule of [...told.by, ...told.alsoBy]) assert.ok(known.includes(rule), `${name}: ${rule}`);
});

test('each loss requires a notice', () => {
  for (const { name, told } of LOSSES) assert.ok(told.by.length > 0, name);
});

/** Rules that measure a silence: the silence after which they alert is a part of their time. */
const OF_SILENCE = ['DoorSilent', 'EtcdDown'];

test("the limits of notices are the rules' times and 10 s", () => {
  for (const { name, told } of LOSSES) {
    const rules = RULES.filter((rule) => told.by.includes(runbookAnchor(rule.name)));
    const longest = Math.max(
      ...rules.map((rule) => rule.forS + (OF_SILENCE.includes(rule.name) ? rule.above! : 0)),
    );
    assert.equal(told.withinMs, (longest + 10) * 1_000, name);
  }
});

test('a message to Slack is read as the monitor writes it', () => {
  const notice: Notice = {
    id: 'n1',
    kind: 'firing',
    severity: 'critical',
    title: 'HAProxy Alert',
    message: 'haproxy2 is DOWN',
    details: [],
    at: '2026-11-29T17:00:00Z',
    keys: [],
    runbook: 'haproxydown',
  };
  for (const address of [undefined, 'https://example.com/RUNBOOK.md']) {
    const read = toldBySlack(slackMessage({ notice, mayRepeat: false }, address) as never, 5);
    assert.deepEqual([read.kind, read.severity, read.rule], ['firing', 'critical', 'haproxydown']);
  }
  const resolved = slackMessage({ notice: { ...notice, kind: 'resolved' }, mayRepeat: false }, undefined);
  assert.equal(toldBySlack(resolved as never, 5).kind, 'resolved');
});

test('too many messages for ten faults in a row, or a message while nothing is lost, break a promise', () => {
  const kept = (evidence: Partial<Parameters<typeof judgeWhole>[0]>) =>
    judgeWhole({ slack: [], alerts: [], strays: [], ...evidence }).every((finding) => finding.kept);
  const counts = (each: number, more: number) => [...Array.from({ length: 18 }, () => each), more];
  assert.ok(kept({ slack: counts(2, 2), alerts: counts(4, 4) }));
  assert.ok(!kept({ slack: counts(2, 3) }));
  assert.ok(!kept({ alerts: counts(4, 5) }));
  assert.ok(!kept({ strays: ['pgb1 is DOWN'] }));
  assert.equal(mostInARow([5, 0, 0, 5], 3), 5);
});
