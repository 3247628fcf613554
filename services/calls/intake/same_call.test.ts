/** The rule by which a telling is a duplicate, fills a call, contradicts it or is another call: no database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { printedSeed } from '#tests/seed.ts';
import { TOLD } from '../told.ts';
import { legOf } from './legs.ts';
import { type Decision, decide, type SameCallRules, ZONE_SPREAD_MS } from './same_call.ts';
import type { ToldCall } from './told_call.ts';

const START = Date.UTC(2026, 2, 2, 9, 0, 0);
const RULES: SameCallRules = { legs: 'fields', idsReused: false, replace: false };
const REPLACE: SameCallRules = { ...RULES, replace: true };

/** What a telling may leave out: its bit, and what stands in the call then. */
const OPTIONAL = {
  connect_time: [TOLD.connect_time, { connectTime: null }],
  disconnect_time: [TOLD.disconnect_time, { disconnectTime: null }],
  duration_s: [TOLD.duration_s, { durationS: 0 }],
  billed_duration_s: [TOLD.billed_duration_s, { billedDurationS: 0 }],
  cost: [TOLD.cost, { cost: null }],
  currency: [TOLD.currency, { currency: 'USD' }],
  cli: [TOLD.cli, { cli: '', cliIn: null }],
  account: [TOLD.account, { iAccount: 2 }],
  user_agent: [TOLD.user_agent, { userAgent: null }],
  description: [TOLD.description, { description: null }],
} as const satisfies Record<string, readonly [number, Partial<ToldCall>]>;
type Optional = keyof typeof OPTIONAL;
const ALL = Object.keys(OPTIONAL) as Optional[];
/** A value that contradicts, of each field that may. */
const OTHER = {
  start_time: { startTime: START + 300_000 },
  connect_time: { connectTime: START + 9_000 },
  disconnect_time: { disconnectTime: START + 99_000 },
  duration_s: { durationS: 99 },
  billed_duration_s: { billedDurationS: 98 },
  cost: { cost: '0.026' },
  currency: { currency: 'GBP' },
  cli: { cli: '1003' },
  i_account: { iAccount: 3 },
} as const satisfies Record<string, Partial<ToldCall>>;

function telling(changes: Partial<ToldCall> = {}, without: readonly Optional[] = []): ToldCall {
  const attributes = changes.attributes ?? { Channel: 'SIP/1-1' };
  const left = ALL.filter((name) => !without.includes(name));
  return {
    iCdr: 0,
    iAccount: 1,
    startTime: START,
    connectTime: START + 5_000,
    disconnectTime: START + 65_000,
    durationS: 65,
    billedDurationS: 60,
    cost: '0.025',
    iImport: 1,
    line: 1,
    currency: 'EUR',
    country: null,
    direction: 'outbound',
    result: 'answered',
    cli: '1002',
    cld: '+442079460001',
    cliIn: null,
    cldIn: null,
    callId: 'a-1',
    source: 's',
    sourceKey: 'key',
    disconnectCause: null,
    description: 'd',
    remoteIp: null,
    userAgent: 'Phone/1',
    flags: [],
    attributes,
    told: left.reduce((bits, name) => bits | OPTIONAL[name][0], TOLD.call_id | TOLD.cld),
    leg: legOf(attributes),
    ...changes,
    ...Object.assign({}, ...without.map((name) => OPTIONAL[name][1])),
  };
}

/** Told by another row than the one before. */
const again = (changes: Partial<ToldCall> = {}, without: readonly Optional[] = []): ToldCall =>
  telling({ sourceKey: 'another', ...changes }, without);

function kindOf(call: ToldCall, row: ToldCall, rules = RULES, keyBefore = ''): Decision['kind'] {
  return decide([call], row, rules, keyBefore).kind;
}
const fieldsOf = (decision: Decision): readonly string[] =>
  'differences' in decision ? decision.differences.map(({ field }) => field) : [];

test('a row of an id that is not known is a new call', () => {
  assert.deepEqual(decide([], telling(), RULES), { kind: 'new' });
});

test('the same in another writing is a duplicate', () => {
  const call = telling();
  for (const written of [
    again(),
    again({ cost: '00.0250' }),
    again({ cost: '0.02500' }),
    // Who writes whole seconds leaves off the rest.
    again({ startTime: START + 999 }),
    again({ connectTime: START + 4_001 }),
    again({ durationS: 65.4 }),
    again({ billedDurationS: 59.2 }),
    // As the switch wrote them.
    again({ cld: '0044 20 7946 0001', cldIn: '+442079460001' }),
    again({ cld: '+442079460001', cldIn: '00442079460001' }),
  ])
    assert.equal(kindOf(call, written), 'duplicate', JSON.stringify(written));
});

test('parts of a second are compared where both tell them', () => {
  const call = telling({ startTime: START + 250, durationS: 65.25 });
  assert.equal(kindOf(call, again({ startTime: START + 250, durationS: 65.25 })), 'duplicate');
  assert.deepEqual(fieldsOf(decide([call], again({ startTime: START + 750, durationS: 65.75 }), RULES)), [
    'start_time',
    'duration_s',
  ]);
  assert.equal(kindOf(call, again({ startTime: START + 1_250 })), 'conflict');
});

for (const name of ALL) {
  test(`${name}: a telling without it is a duplicate, one that has it fills the call`, () => {
    assert.equal(kindOf(telling(), again({}, [name])), 'duplicate');
    assert.equal(kindOf(telling({}, [name]), again()), 'completed');
    assert.equal(kindOf(telling({}, [name]), again(), REPLACE), 'completed');
  });
}

test('an attribute more fills the call, another value of one does not contradict it', () => {
  const more = again({ attributes: { Channel: 'SIP/1-1', Note: 'n' } });
  assert.equal(kindOf(telling(), more), 'completed');
  assert.equal(kindOf(more, again({ attributes: { Channel: 'SIP/1-1', Note: 'm' } })), 'duplicate');
});

for (const [field, change] of Object.entries(OTHER)) {
  test(`another ${field} is a conflict that names it, or takes the place of the one before`, () => {
    const call = telling();
    const conflict = decide([call], again(change), RULES);
    assert.deepEqual([conflict.kind, fieldsOf(conflict)], ['conflict', [field]]);
    const replaced = decide([call], again(change), REPLACE);
    assert.deepEqual([replaced.kind, fieldsOf(replaced)], ['replaced', [field]]);
  });
}

test('what only differs by how one row was read contradicts nothing, until it is asked to replace', () => {
  const call = telling();
  const read = telling({ startTime: START + 3_600_000, billedDurationS: 10 });
  assert.equal(kindOf(call, read), 'duplicate');
  assert.equal(kindOf(call, read, REPLACE), 'replaced');
  // A key that is the name a poster gave tells nothing of the rest.
  const named = { told: telling().told! | TOLD.name };
  assert.equal(kindOf(telling(named), telling({ ...named, cost: '0.03' })), 'conflict');
});

test('legs of one id are calls of their own', () => {
  const leg = (attributes: Record<string, string>) => again({ attributes });
  const first = telling({ attributes: { sequence: '1' } });
  assert.equal(kindOf(first, leg({ sequence: '2' })), 'new');
  assert.equal(kindOf(first, leg({ sequence: '1' })), 'duplicate');
  assert.equal(kindOf(telling(), leg({ Channel: 'SIP/2-1' })), 'new');
  assert.equal(kindOf(telling(), again({ cld: '+442079460002' })), 'new');
  // What only one of them tells may be either's: values that contradict each other then tell two legs.
  assert.equal(kindOf(telling(), leg({})), 'duplicate');
  assert.equal(kindOf(telling(), again({ attributes: {}, cost: '0.03' })), 'new');
  assert.equal(kindOf(telling(), again({ attributes: {}, cost: '0.03' }), REPLACE), 'new');
});

test('where each leg has an id of its own, only what it was bridged to tells two records apart', () => {
  const rules: SameCallRules = { ...RULES, legs: 'call_id' };
  const to = (bridge: string) => again({ attributes: { bridge_uuid: bridge } });
  const first = telling({ attributes: { bridge_uuid: 'x' } });
  assert.equal(kindOf(telling(), again({ cld: '+442079460002', attributes: {} }), rules), 'conflict');
  assert.equal(kindOf(first, to('y'), rules), 'new');
  assert.equal(kindOf(first, to('x'), rules), 'duplicate');
  assert.equal(kindOf(telling(), to('x'), rules), 'completed');
});

test('ids that are used again: another start is another call, but for one row that is read in another zone', () => {
  const rules: SameCallRules = { ...RULES, idsReused: true };
  assert.equal(kindOf(telling(), again({ startTime: START + 86_400_000 }), rules), 'new');
  assert.equal(kindOf(telling(), again({ startTime: START + 500 }), rules), 'duplicate');
  assert.equal(kindOf(telling(), again({ cost: '0.03' }), rules), 'conflict');
  assert.equal(kindOf(telling(), telling({ startTime: START + ZONE_SPREAD_MS }), rules), 'duplicate');
  assert.equal(kindOf(telling(), telling({ startTime: START + ZONE_SPREAD_MS + 1_000 }), rules), 'new');
});

test('of several calls that a row may tell, the one that it fits best is taken, wherever it stands', () => {
  const [other, bare, same] = [
    telling({ iCdr: 1, cost: '0.03' }),
    telling({ iCdr: 2 }, ['cost']),
    telling({ iCdr: 3 }),
  ];
  const taken = (known: readonly ToldCall[], rules = RULES) => {
    const decision = decide(known, again(), rules);
    return [decision.kind, 'of' in decision ? decision.of.iCdr : 0];
  };
  assert.deepEqual(taken([other, bare, same]), ['duplicate', 3]);
  assert.deepEqual(taken([same, bare, other]), ['duplicate', 3]);
  assert.deepEqual(taken([other, bare]), ['completed', 2]);
  assert.deepEqual(taken([bare, other], REPLACE), ['completed', 2]);
  assert.deepEqual(taken([other], REPLACE), ['replaced', 1]);
});

test('a call of a version before is known by its key, and what it may have concluded gives way', () => {
  const before = telling({ told: null, sourceKey: 'old', billedDurationS: 65, flags: ['billed_inferred'] });
  assert.equal(kindOf(before, again({ startTime: START + 3_600_000 }), RULES, 'old'), 'completed');
  assert.equal(kindOf(before, again({ billedDurationS: 65 })), 'duplicate');
  assert.equal(kindOf(before, again({ billedDurationS: 60 })), 'completed');
  assert.equal(kindOf({ ...before, flags: [] }, again({ billedDurationS: 60 })), 'conflict');
  assert.equal(kindOf(before, again({ durationS: 99, billedDurationS: 65 })), 'conflict');
});

const STYLES: readonly Partial<ToldCall>[] = [
  {},
  { cost: '0.0250' },
  { startTime: START + 400, connectTime: START + 5_900 },
  { cld: '00442079460001', cldIn: '+442079460001' },
  { durationS: 65.5, line: 7, iImport: 9 },
  { result: 'busy', direction: 'unknown' },
];
const style = fc.constantFrom(...STYLES);
const some = fc.subarray([...ALL]);

test('any two tellings of a call: duplicate or completed by what they tell, a conflict exactly where a value differs', (t) => {
  const seed = printedSeed(t);
  fc.assert(
    fc.property(
      ...([style, style, some, some, fc.constantFrom(undefined, ...Object.entries(OTHER))] as const),
      (one, other, lacks, lacksToo, wrong) => {
        // Parts of a second that two tellings cut otherwise are no style of one call.
        const call = telling(one, lacks);
        const row = again(
          one.startTime === undefined || other.startTime === undefined ? other : one,
          lacksToo,
        );
        const gives = lacks.some((name) => !lacksToo.includes(name));
        const expected = gives ? 'completed' : 'duplicate';
        assert.equal(kindOf(call, row), expected);
        assert.equal(kindOf(call, row, REPLACE), expected);
        if (wrong === undefined) return;
        const [field, change] = wrong;
        const told = field === 'i_account' ? 'account' : (field as Optional | 'start_time');
        const isLeftOut = told !== 'start_time' && (lacks.includes(told) || lacksToo.includes(told));
        if (isLeftOut) return;
        const changed = { ...row, ...change };
        const decision = decide([call], changed, RULES);
        assert.deepEqual([decision.kind, fieldsOf(decision)], ['conflict', [field]]);
        // Who came first does not matter.
        assert.deepEqual(fieldsOf(decide([changed], { ...call, sourceKey: 'x' }, RULES)), [field]);
        assert.deepEqual(fieldsOf(decide([call], changed, REPLACE)), [field]);
      },
    ),
    { seed, numRuns: 3_000 },
  );
});
