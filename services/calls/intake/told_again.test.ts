/** What becomes of a call that is told again, by files that are read in any way. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { importWritten } from '#tests/written_calls.ts';
import { parseMapping } from '../formats/mapping.ts';
import { dryRun } from './dry_run.ts';
import type { ImportCounts } from './import_counts.ts';
import type { ImportOptions } from './import_file.ts';

const { pool } = await testDatabase();

const NAMES = ['stored', 'completed', 'duplicates', 'conflicts', 'rejected'] as const;
type Expected = Partial<Record<(typeof NAMES)[number], number>>;
const figures = (counts: ImportCounts): Expected =>
  Object.fromEntries(NAMES.filter((name) => counts[name] > 0).map((name) => [name, counts[name]]));

let files = 0;

/** A file with a mapping; its dry run tells the same figures. */
async function tell(
  text: string,
  map: readonly string[],
  options: Partial<ImportOptions> & { mapName?: string } = {},
): Promise<Expected> {
  const { mapName = 'unnamed', ...rest } = options;
  const file = {
    format: 'mapped' as const,
    text,
    read: { account: 'acme', mapping: parseMapping(map, mapName), ...options.read },
  };
  const { read: _, ...others } = rest;
  const name = `/told/${files++}.csv`;
  const pretended = await dryRun(pool, (dry) => importWritten(pool, file, name, others, dry));
  const counts = await importWritten(pool, file, name, others);
  const told = figures(counts);
  assert.deepEqual(figures(pretended), told, 'the dry run tells the same');
  assert.equal(
    pretended.newlyRejected,
    counts.newlyRejected,
    'and as many rows as rejected for the first time',
  );
  const again = await dryRun(pool, (dry) => importWritten(pool, file, name, others, dry));
  assert.equal(again.newlyRejected, 0, 'of the same file again it tells none');
  assert.equal(
    NAMES.reduce((sum, key) => sum + counts[key], 0),
    counts.read,
  );
  await assertUsageIsExact(pool);
  return told;
}

const stored = async (source: string) =>
  (await pool.query('SELECT * FROM calls.cdrs WHERE source = $1 ORDER BY start_time, i_cdr', [source])).rows;

const HEADER = 'Id,Start,Secs,From,To,Price,Note';
const MAP = ['Id=call_id', 'Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld', 'Price=cost'];

test('one call told five times in other words is one call', async () => {
  const rows = [
    'a-1,2026-03-02 09:00:00,60,1002,+442079460001,0.025,',
    'a-1,2026-03-02 09:00:00,60,1002,+442079460001,0.03,',
    'a-1,2026-03-02 09:00:00,60,1002,+442079460001,0.0250,',
    'a-1,2026-03-02 09:00:00,60,1002,+442079460001,0.025,note',
    'a-1,2026-03-02T09:00:00Z,60,1002,+442079460001,0.025,',
  ];
  const expected = { stored: 1, completed: 1, duplicates: 2, conflicts: 1 };
  assert.deepEqual(await tell([HEADER, ...rows].join('\n'), MAP, { source: 'five' }), expected);
  for (const [index, row] of rows.entries()) {
    const again = await tell(`${HEADER}\n${row}`, MAP, { source: 'five' });
    assert.deepEqual(again, index === 1 ? { conflicts: 1 } : { duplicates: 1 });
  }
  const [call, ...others] = await stored('five');
  assert.equal(others.length, 0);
  assert.deepEqual([call.cost, call.attributes], ['0.025', { Note: 'note' }]);
  const rejected = await pool.query(
    `SELECT reason, conflict FROM calls.rejected_cdrs WHERE taken_by IS NULL AND code = 'conflict' LIMIT 1`,
  );
  assert.deepEqual(rejected.rows[0].conflict, {
    i_cdr: call.i_cdr,
    differences: [{ field: 'cost', stored: '0.025', told: '0.03' }],
  });
  assert.match(rejected.rows[0].reason, /its cost is 0\.025, here 0\.03/);
});

const ROW = 'b-1,2026-03-31 23:30:00,60,1002,+442079460001,0.5,x';

/** A change to the row, and what the changed row becomes when it is told after the row itself. */
const CHANGES: [name: string, row: string, Expected, Partial<ImportOptions>?][] = [
  ['nothing', ROW, { duplicates: 1 }],
  ['trailing zeros', ROW.replace('0.5', '0.50'), { duplicates: 1 }],
  ['an exponent', ROW.replace('0.5', '5e-1'), { duplicates: 1 }],
  ['a fraction of a second', ROW.replace('23:30:00', '23:30:00.000'), { duplicates: 1 }],
  ['quotes', `"${ROW.replaceAll(',', '","')}"`, { duplicates: 1 }],
  ['a stamp with its zone', ROW.replace('23:30:00', '23:30:00+00:00'), { duplicates: 1 }],
  [
    'a stamp of another zone',
    ROW.replace('2026-03-31 23:30:00', '2026-04-01T01:30:00+02:00'),
    { duplicates: 1 },
  ],
  ['a number in another writing', ROW.replace('+442079460001', '00442079460001'), { duplicates: 1 }],
  ['another destination', ROW.replace('460001', '460002'), { stored: 1 }],
  ['another caller', ROW.replace('1002', '1003'), { conflicts: 1 }],
  ['another cost', ROW.replace('0.5', '0.51'), { conflicts: 1 }],
  ['another duration', ROW.replace(',60,', ',61,'), { conflicts: 1 }],
  ['a start five minutes later', ROW.replace('23:30', '23:35'), { conflicts: 1 }],
  ['a start in the next month', ROW.replace('03-31 23:30', '04-01 00:10'), { conflicts: 1 }],
  ['a start a month later', ROW.replace('03-31', '04-30'), { conflicts: 1 }],
  [
    'a start a month later, ids used again',
    ROW.replace('03-31', '04-30'),
    { stored: 1 },
    { sameCall: { onConflict: 'set-aside', callIds: 'reused' } },
  ],
  ['a cost less', ROW.replace('0.5', ''), { duplicates: 1 }],
  ['a caller less', ROW.replace('1002', ''), { duplicates: 1 }],
  ['a note less', ROW.replace(',x', ','), { duplicates: 1 }],
  ['another note', ROW.replace(',x', ',y'), { duplicates: 1 }],
  ['another zone to read it in', ROW, { duplicates: 1 }, { read: { timeZone: 'Pacific/Kiritimati' } }],
  [
    'another zone, ids used again',
    ROW,
    { duplicates: 1 },
    { read: { timeZone: 'Asia/Kathmandu' }, sameCall: { onConflict: 'set-aside', callIds: 'reused' } },
  ],
];

for (const [name, row, expected, options] of CHANGES) {
  test(`told again with ${name}: ${JSON.stringify(expected)}`, async () => {
    const source = `changed ${name}`;
    assert.deepEqual(await tell(`${HEADER}\n${ROW}`, MAP, { source }), { stored: 1 });
    assert.deepEqual(await tell(`${HEADER}\n${row}`, MAP, { source, ...options }), expected);
    assert.equal((await stored(source)).length, 1 + (expected.stored ?? 0));
  });
  test(`told twice in one file with ${name}`, async () => {
    if (options) return;
    const source = `at once ${name}`;
    const all = { ...expected, stored: 1 + (expected.stored ?? 0) };
    assert.deepEqual(await tell(`${HEADER}\n${ROW}\n${row}`, MAP, { source }), all);
  });
}

const GAPS: [name: string, bare: string, column: string, value: unknown][] = [
  ['its cost', ROW.replace('0.5', ''), 'cost', '0.5'],
  ['its caller', ROW.replace('1002', ''), 'cli', '1002'],
  ['its destination', ROW.replace('+442079460001', ''), 'cld', '+442079460001'],
];

for (const [name, bare, column, value] of GAPS) {
  test(`a call that lacks ${name} is completed, and told so again it is known`, async () => {
    const source = `lacks ${name}`;
    await tell(`${HEADER}\n${bare}`, MAP, { source });
    assert.deepEqual(await tell(`${HEADER}\n${ROW}`, MAP, { source }), { completed: 1 });
    const [call, ...others] = await stored(source);
    assert.deepEqual([call[column], others.length], [value, 0]);
    assert.deepEqual(await tell(`${HEADER}\n${ROW}\n${bare}`, MAP, { source }), { duplicates: 2 });
  });
}

test('completed with its destination a call is of the country called, and usage follows', async () => {
  const source = 'country';
  await tell(`${HEADER}\n${ROW.replace('+442079460001', '')}`, MAP, { source });
  const before = await pool.query('SELECT country, cost FROM calls.cdrs WHERE source = $1', [source]);
  assert.equal(before.rows[0].country, null);
  await tell(`${HEADER}\n${ROW}`, MAP, { source });
  const after = await pool.query('SELECT country, direction FROM calls.cdrs WHERE source = $1', [source]);
  assert.deepEqual(after.rows, [{ country: 'GB', direction: 'outbound' }]);
});

test('a value that contradicts takes the place of the one before when it is asked to; the one before is kept', async () => {
  const source = 'replaced';
  const replace = { sameCall: { onConflict: 'replace', callIds: 'unique' } } as const;
  await tell(`${HEADER}\n${ROW}`, MAP, { source });
  const [old] = await stored(source);
  const moved = ROW.replace('03-31 23:30', '04-01 00:10').replace('0.5', '0.7');
  assert.deepEqual(await tell(`${HEADER}\n${moved}`, MAP, { source, ...replace }), { completed: 1 });
  const [call, ...others] = await stored(source);
  assert.deepEqual([others.length, call.cost, call.start_time], [0, '0.7', '2026-04-01T00:10:00Z']);
  assert.equal(Math.floor(call.i_cdr / 1e10), 202_604, 'its number names its month');
  const { rows: history } = await pool.query('SELECT i_cdr, call FROM calls.cdr_history');
  assert.deepEqual([history.length, history[0].i_cdr, history[0].call.i_cdr], [1, call.i_cdr, old.i_cdr]);
  assert.equal(history[0].call.cost, 0.5);
  assert.deepEqual(await tell(`${HEADER}\n${moved}`, MAP, { source, ...replace }), { duplicates: 1 });
  assert.deepEqual(await tell(`${HEADER}\n${ROW}`, MAP, { source }), { conflicts: 1 });
});

test('of tellings that take each other’s place the last one counts, whether it was told before or not', async () => {
  const replace = { sameCall: { onConflict: 'replace', callIds: 'unique' } } as const;
  const costs = ['0.6', '0.5', '0.7', '0.6'];
  const rows = costs.map((cost) => ROW.replace('0.5', cost));
  for (const isThere of [false, true]) {
    const source = `in turns ${isThere}`;
    if (isThere) await tell(`${HEADER}\n${ROW}`, MAP, { source });
    const completed = isThere ? 4 : 3;
    const told = await tell([HEADER, ...rows].join('\n'), MAP, { source, ...replace });
    assert.deepEqual(told, { ...(!isThere && { stored: 1 }), completed });
    assert.deepEqual(
      (await stored(source)).map(({ cost }) => cost),
      ['0.6'],
    );
  }
  const crowd = Array.from({ length: 1_100 }, (_, n) => ROW.replace('0.5', `${n}.5`));
  const told = await tell([HEADER, ...crowd, ...crowd].join('\n'), MAP, { source: 'crowd', ...replace });
  assert.deepEqual(told, { stored: 1_100, duplicates: 1_100 });
});

test('a wrong time zone is mended by importing again with the right one and --on-conflict replace', async () => {
  const source = 'zone';
  const replace = { sameCall: { onConflict: 'replace', callIds: 'unique' } } as const;
  await tell(`${HEADER}\n${ROW}`, MAP, { source });
  const read = { timeZone: 'America/New_York' };
  assert.deepEqual(await tell(`${HEADER}\n${ROW}`, MAP, { source, read }), { duplicates: 1 });
  assert.deepEqual(await tell(`${HEADER}\n${ROW}`, MAP, { source, read, ...replace }), { completed: 1 });
  assert.equal((await stored(source))[0].start_time, '2026-04-01T03:30:00Z');
});

const WHOLE_MAP = [...MAP, 'Who=account', 'Note=description', 'Cur=currency'];
const WIDE = 'Id,Start,Secs,From,To,Price,Note,Who,Cur';
const WIDE_ROWS = [
  'm-1,2026-03-02 09:00:00,60,030 23125001,+442079460001,0.5,x,globex,CHF',
  'm-2,2026-03-02 09:01:00,60,1002,0044 2079460001,,y,globex,',
  'm-2,2026-03-02 09:01:00,60,1002,+442079460002,1.5,z,globex,USD',
];
const without = (field: string) => WHOLE_MAP.filter((pair) => !pair.endsWith(`=${field}`));

for (const field of ['call_id', 'cli', 'cld', 'cost', 'account', 'description', 'currency']) {
  test(`a mapping that forgot ${field} is mended by importing again with it`, async () => {
    const text = [WIDE, ...WIDE_ROWS].join('\n');
    const [right, mended] = [`whole ${field}`, `mended ${field}`];
    assert.deepEqual(await tell(text, WHOLE_MAP, { source: right }), { stored: 3 });
    assert.deepEqual(await tell(text, without(field), { source: mended }), { stored: 3 });
    const told = await tell(text, WHOLE_MAP, { source: mended });
    assert.equal((told.completed ?? 0) + (told.duplicates ?? 0), 3, JSON.stringify(told));
    const shown = async (source: string) =>
      (await stored(source)).map(({ i_cdr: _, i_import: __, source: ___, told: ____, ...call }) => call);
    assert.deepEqual(await shown(mended), await shown(right));
    assert.deepEqual(await tell(text, WHOLE_MAP, { source: mended }), { duplicates: 3 });
    // The other way round nothing new is said.
    assert.deepEqual(await tell(text, without(field), { source: right }), { duplicates: 3 });
    const elsewhere = { source: right, read: { timeZone: 'Asia/Kathmandu' } };
    assert.deepEqual(await tell(text, without(field), elsewhere), { duplicates: 3 });
  });
}

test('rows without a call id are known by all that they say, however it is written', async () => {
  const map = MAP.filter((pair) => !pair.startsWith('Id='));
  const header = 'Start,Secs,From,To,Price,Note';
  const row = '2026-03-02 09:00:00,60,1002,+442079460001,0.5,';
  const same = [
    row,
    row.replace('0.5', '0.500'),
    row.replace('09:00:00', '09:00:00.0'),
    row.replace('2026-03-02 09:00:00', '2026-03-02T09:00:00Z'),
    row.replace(',60,', ',0:01:00,'),
  ];
  const other = [
    row.replace('0.5', '0.51'),
    row.replace('1002', '1003'),
    `${row}y`,
    row.replace('09:00:00', '09:00:01'),
  ];
  const source = 'no ids';
  const told = await tell([header, ...same, ...other].join('\n'), map, { source });
  assert.deepEqual(told, { stored: 1 + other.length, duplicates: same.length - 1 });
  for (const text of same)
    assert.deepEqual(await tell(`${header}\n${text}`, map, { source }), { duplicates: 1 });
});

test('a date whose day and month are read the other way round is the same call', async () => {
  const row = 'd-1,03/04/2026 09:00:00,60,1002,+442079460001,0.5,x';
  for (const map of [MAP, MAP.slice(1)]) {
    const source = `order ${map.length}`;
    assert.deepEqual(await tell(`${HEADER}\n${row}`, map, { source, read: { dateOrder: 'dmy' } as never }), {
      stored: 1,
    });
    assert.deepEqual(await tell(`${HEADER}\n${row}`, map, { source, read: { dateOrder: 'mdy' } as never }), {
      duplicates: 1,
    });
  }
});

test('the name of a map is not the source: 20 calls with any of them', async () => {
  const rows = Array.from(
    { length: 20 },
    (_, n) => `n-${n},2026-05-02 09:00:${10 + n},60,1002,+442079460001,0.5,`,
  );
  const text = [HEADER, ...rows].join('\n');
  assert.deepEqual(await tell(text, MAP, { mapName: 'carrier' }), { stored: 20 });
  assert.deepEqual(await tell(text, MAP), { duplicates: 20 });
  assert.deepEqual(await tell(text, MAP, { mapName: 'carrier2' }), { duplicates: 20 });
  assert.deepEqual(await tell(text, MAP, { mapName: 'carrier', source: 'other' }), { stored: 20 });
});

test('a column mapped as the call id that names no call loses nothing', async () => {
  const rows = Array.from({ length: 3_000 }, (_, n) => {
    const at = new Date(Date.UTC(2026, 5, 1) + n * 1_000).toISOString();
    return `in,${at},${n % 90},${n},+442079460001,0.5,`;
  });
  const text = [HEADER, ...rows].join('\n');
  const source = 'constant';
  const first = await tell(text, MAP, { source });
  assert.deepEqual(await tell(text, MAP, { source }), {
    duplicates: first.stored,
    ...(first.conflicts && { conflicts: first.conflicts }),
  });
});
