/**
 * Whatever is told of calls, in whatever order, words and ways, all at once or cut off in between: there is one call for
 * each leg, it says what its tellings say together, and the sums are those of the calls.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { withSession } from '#platform/database/pool.ts';
import { testDatabase } from '#tests/postgres.ts';
import { printedSeed } from '#tests/seed.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import { importWritten } from '#tests/written_calls.ts';
import { parseMapping } from '../formats/mapping.ts';
import { POSTED_FIELDS, recordFromFields } from '../formats/posted_record.ts';
import { openSource } from '../formats/reader.ts';
import type { ParsedRow } from '../formats/source_reader.ts';
import { lockSource } from '../store/source_turns.ts';
import { openFileSource, openPostSource } from './import_source.ts';
import { takeIn } from './intake.ts';

const { pool } = await testDatabase();
const NEW_ACCOUNTS = { currency: 'EUR', timeZone: 'UTC', country: 'DE' };

/** What is true of a leg. */
interface Leg {
  readonly id: string;
  readonly channel: string;
  readonly start: number;
  readonly duration: number;
  readonly billed: number;
  readonly cost: string;
  readonly to: string;
}

const FIELDS = [
  'call_id',
  'start_time',
  'connect_time',
  'duration_s',
  'billed_duration_s',
  'cost',
  'cli',
  'cld',
] as const;
type Field = (typeof FIELDS)[number] | 'user_agent' | 'Channel' | 'Note';
/** What a telling may leave out. */
const OPTIONAL: readonly Field[] = ['connect_time', 'billed_duration_s', 'cost', 'cli', 'user_agent', 'Note'];

interface Telling {
  readonly leg: number;
  readonly without: readonly Field[];
  /** Picks a writing of each value. */
  readonly style: number;
  /** Another cost than the true one. */
  readonly isWrong: boolean;
}

const CLI = '+493023125001';
const stamp = (ms: number, style: number) => {
  const iso = new Date(ms).toISOString();
  return [
    iso.slice(0, 19).replace('T', ' '),
    iso,
    `${iso.slice(0, 19)}+00:00`,
    iso.slice(0, 23).replace('T', ' '),
  ][style % 4]!;
};
const decimal = (text: string, style: number) => [text, `${text}0`, `${text}00`, `0${text}`][style % 4]!;

function valuesOf(leg: Leg, { without, style, isWrong }: Telling): Partial<Record<Field, string>> {
  const values: Partial<Record<Field, string>> = {
    call_id: leg.id,
    start_time: stamp(leg.start, style),
    connect_time: stamp(leg.start + 5_000, style + 1),
    duration_s: style % 2 ? `${leg.duration}` : `${leg.duration}.0`,
    billed_duration_s: style % 3 ? `${leg.billed}` : `${leg.billed}.00`,
    cost: decimal(isWrong ? `1${leg.cost}` : leg.cost, style),
    cli: CLI,
    cld: style % 2 ? leg.to : leg.to.replace('+', '00'),
    user_agent: 'Phone/1',
    Channel: leg.channel,
    Note: 'n',
  };
  for (const field of without) delete values[field];
  return values;
}

/** As rows of a file whose columns stand in some order. */
function fileOf(legs: readonly Leg[], tellings: readonly Telling[], order: readonly Field[]): ParsedRow[] {
  const mapping = parseMapping(
    [...FIELDS, 'user_agent'].map((field) => `${field}=${field}`),
    'model',
  );
  const reader = openSource('mapped', { timeZone: 'UTC', account: 'acme', mapping });
  const rows = tellings.map((telling) => {
    const values = valuesOf(legs[telling.leg]!, telling);
    return order.map((field) => values[field] ?? '').join(',');
  });
  const text = [order.join(','), ...rows, ''].join('\n');
  return [...reader.push(Buffer.from(text)), ...reader.end(true)];
}

function postsOf(legs: readonly Leg[], tellings: readonly Telling[]): ParsedRow[] {
  return tellings.map((telling, index) => {
    const { Channel, Note, start_time, connect_time, ...values } = valuesOf(legs[telling.leg]!, telling);
    const instant = (text: string | undefined) =>
      text && (/[Z+]/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
    const value = {
      account: 'acme',
      ...values,
      start_time: instant(start_time),
      connect_time: instant(connect_time),
      attributes: { Channel, ...(Note !== undefined && { Note }) },
    };
    const row = { line: index + 1, bytes: Buffer.from(JSON.stringify(value)), offset: 0, ended: true };
    return { row, parsed: recordFromFields(JSON.parse(JSON.stringify(value)), new Map()) };
  });
}

const legsArbitrary = fc
  .array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 })
  .map((sizes): Leg[] =>
    sizes.flatMap((size, call) =>
      Array.from({ length: size }, (_, leg) => ({
        id: `call-${call}`,
        channel: `SIP/${leg}`,
        // Some on either side of a month's and a day's end.
        start: Date.UTC(2026, 2, 31, 23, 55) + call * 600_000 + leg * 1_000,
        duration: 60 + leg,
        billed: 50 + leg,
        cost: `0.${leg + 1}5`,
        to: call % 2 ? '+442079460001' : '+33199000001',
      })),
    ),
  );
const tellingArbitrary = (legs: number): fc.Arbitrary<Telling> =>
  fc.record({
    leg: fc.nat(legs - 1),
    without: fc.subarray([...OPTIONAL]),
    style: fc.nat(11),
    isWrong: fc.nat(9).map((n) => n === 0),
  });
const order = fc.shuffledSubarray([...FIELDS, 'user_agent', 'Channel', 'Note'] as Field[], {
  minLength: 11,
  maxLength: 11,
});
const scenario = legsArbitrary.chain((legs) =>
  fc.record({
    legs: fc.constant(legs),
    imports: fc.array(
      fc.record({
        tellings: fc.array(tellingArbitrary(legs.length), { minLength: 1, maxLength: 8 }),
        way: fc.constantFrom('file', 'post'),
        order,
        /** Milliseconds after which it is cut off, to be done again. */
        cutOff: fc.option(fc.nat(8), { freq: 3 }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
    atOnce: fc.boolean(),
  }),
);

let scenarios = 0;

test('tellings in any order, words and ways, at once and cut off, end as one call for each leg', async (t) => {
  const seed = printedSeed(t);
  await fc.assert(
    fc.asyncProperty(scenario, async ({ legs, imports, atOnce }) => {
      const source = `model ${scenarios++}`;
      const told = async ({ tellings, way, order: columns, cutOff }: (typeof imports)[number]) => {
        const rows = way === 'file' ? fileOf(legs, tellings, columns) : postsOf(legs, tellings);
        const shared = { source, readOptions: { account: 'acme' }, newAccounts: NEW_ACCOUNTS };
        const importSource =
          way === 'file'
            ? await openFileSource(pool, { ...shared, file: '/model.csv', format: 'mapped' })
            : await openPostSource(pool, { ...shared, file: 'POST /cdrs', format: POSTED_FIELDS });
        if (cutOff !== null) {
          const cut = new AbortController();
          const first = takeIn(pool, importSource, rows, {}, cut.signal).catch(() => undefined);
          await sleep(cutOff);
          cut.abort(new Error('cut off'));
          await first;
        }
        const outcomes = await takeIn(pool, importSource, rows);
        assert.equal(outcomes.length, tellings.length);
        const mayContradict = imports.some((one) => one.tellings.some(({ isWrong }) => isWrong));
        for (const outcome of outcomes) {
          const isRight = outcome.kind !== 'set_aside' && (outcome.kind !== 'conflict' || mayContradict);
          assert.ok(isRight, JSON.stringify(outcome));
        }
      };
      if (atOnce) await Promise.all(imports.map(told));
      else for (const one of imports) await told(one);

      const { rows: calls } = await pool.query('SELECT * FROM calls.cdrs WHERE source = $1', [source]);
      const tellings = imports.flatMap((one) => one.tellings);
      const expected = [...new Set(tellings.map(({ leg }) => leg))].sort((a, b) => a - b);
      const found = calls.map((call) =>
        legs.findIndex((leg) => leg.id === call.call_id && leg.channel === call.attributes.Channel),
      );
      assert.deepEqual(
        found.sort((a, b) => a - b),
        expected,
        'one call for each leg that was told',
      );
      for (const call of calls) {
        const leg = legs.findIndex(
          (one) => one.id === call.call_id && one.channel === call.attributes.Channel,
        );
        const its = tellings.filter((telling) => telling.leg === leg);
        if (its.some(({ isWrong }) => isWrong)) continue;
        const says = (field: Field) => its.some(({ without }) => !without.includes(field));
        assert.equal(
          call.cost === null ? null : Number(call.cost),
          says('cost') ? Number(legs[leg]!.cost) : null,
        );
        assert.equal(call.connect_time !== null, says('connect_time'));
        assert.equal(call.cli, says('cli') ? CLI : '');
        assert.equal(call.user_agent, says('user_agent') ? 'Phone/1' : null);
        assert.equal(call.attributes.Note, says('Note') ? 'n' : undefined);
        if (says('billed_duration_s')) assert.equal(Number(call.billed_duration_s), legs[leg]!.billed);
      }
      const { rows: counts } = await pool.query(
        'SELECT coalesce(bool_and(read = stored + completed + duplicates + conflicts + set_aside), true) AS add_up, sum(stored) AS stored FROM calls.imports WHERE source = $1',
        [source],
      );
      assert.deepEqual(counts[0].add_up, true);
      assert.equal(Number(counts[0].stored), calls.length);
      await assertUsageIsExact(pool);
    }),
    { seed, numRuns: 150 },
  );
});

const ROWS = 4_000;
const zones = ['UTC', 'Europe/Berlin', 'Asia/Kathmandu', 'America/New_York'];

function bigFile(withIds: boolean): string {
  const rows = Array.from({ length: ROWS }, (_, n) => {
    const at = new Date(Date.UTC(2026, 7, 30, 12) + n * 7_000).toISOString().slice(0, 19).replace('T', ' ');
    return `${withIds ? `z-${n}` : ''},${at},60,1002,+442079460001,0.5`;
  });
  return ['Id,Start,Secs,From,To,Price', ...rows].join('\n');
}

for (const withIds of [true, false]) {
  test(`imports of one file at once, each in another time zone, ${withIds ? 'with' : 'without'} call ids: each call once`, async () => {
    const source = `zones ${withIds}`;
    const map = ['Id=call_id', 'Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld', 'Price=cost'];
    const counts = await Promise.all(
      zones.map((timeZone, n) =>
        importWritten(
          pool,
          {
            format: 'mapped',
            text: bigFile(withIds),
            read: {
              account: 'acme',
              timeZone,
              mapping: parseMapping(withIds ? map : map.slice(1), `map ${n}`),
            },
          },
          `/zones-${n}.csv`,
          { source },
        ),
      ),
    );
    const stored = counts.reduce((sum, { stored }) => sum + stored, 0);
    const duplicates = counts.reduce((sum, { duplicates }) => sum + duplicates, 0);
    assert.deepEqual([stored, duplicates], [ROWS, ROWS * (zones.length - 1)]);
    const { rows } = await pool.query('SELECT count(*) AS n FROM calls.cdrs WHERE source = $1', [source]);
    assert.equal(rows[0].n, ROWS);
    await assertUsageIsExact(pool);
  });
}

test('a post does not wait for an import of its source that is under way, only for one that has met others', async () => {
  const post = async () => {
    const importSource = await openPostSource(pool, {
      ...{ file: 'POST /cdrs', format: POSTED_FIELDS, source: 'beside' },
      ...{ readOptions: {}, newAccounts: NEW_ACCOUNTS },
    });
    const value = {
      account: 'acme',
      call_id: 'beside-1',
      cld: '1',
      start_time: '2026-03-02T09:00:00Z',
      duration_s: 1,
    };
    const row = { line: 1, bytes: Buffer.from(JSON.stringify(value)), offset: 0, ended: true };
    return takeIn(pool, importSource, [{ row, parsed: recordFromFields(value, new Map()) }]);
  };
  await withSession(pool, async (session) => {
    await session.client.query('BEGIN');
    await session.run(lockSource('beside', 'shared'));
    const [outcome] = await post();
    assert.equal(outcome!.kind, 'stored');
    await session.client.query('ROLLBACK');
  });
});
