import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Decided, decided } from '#tests/calls.ts';
import type { SourceRecord } from '../cdr.ts';
import { SMDR } from './avaya_smdr.ts';
import { detectFormat } from './detect.ts';
import { parseMapping } from './mapping.ts';
import { openSource } from './reader.ts';
import type { ParsedRow, SourceOptions } from './source_reader.ts';
import { THREE_CX } from './three_cx.ts';

type Maker = 'avaya-smdr' | '3cx-cdr';
const SAMPLES: Record<Maker, string> = { 'avaya-smdr': 'avaya-smdr.csv', '3cx-cdr': '3cx-cdr.log' };
const ORDERS = { 'avaya-smdr': SMDR, '3cx-cdr': THREE_CX };
const sample = (maker: Maker) =>
  readFileSync(new URL(`../../../tests/samples/${SAMPLES[maker]}`, import.meta.url)).toString();

function read(maker: Maker, text: string, options: Partial<SourceOptions> = {}): ParsedRow[] {
  const reader = openSource(maker, { timeZone: 'UTC', ...options });
  return [...reader.push(Buffer.from(text)), ...reader.end()];
}

const records = (maker: Maker, text: string, options?: Partial<SourceOptions>): SourceRecord[] =>
  read(maker, text, options).map(({ parsed }) => {
    assert.equal(parsed.kind, 'record', JSON.stringify(parsed));
    return (parsed as { record: SourceRecord }).record;
  });
const told = (record: SourceRecord) => {
  const { result, billedDurationS, flags }: Decided = decided(record);
  return [record.direction, record.cli, record.cld, record.durationS, billedDurationS, result, flags];
};

describe("Avaya IP Office's SMDR", () => {
  test('a lost call, one that was transferred to voicemail, one within the switch, one that left it', () => {
    assert.deepEqual(records('avaya-smdr', sample('avaya-smdr')).map(told), [
      ['inbound', '+442079460123', '4324', 9, 0, 'no_answer', []],
      ['inbound', '+442079460123', '4750', 31, 13, 'answered', []],
      ['inbound', '+442079460123', '4750', 21, 21, 'answered', []],
      ['internal', '4688', '4207', 48, 44, 'answered', []],
      ['outbound', '4688', '+12025550143', 156, 150, 'answered', []],
    ]);
  });

  test('parts of a call share its id, and the start is part of that, since the switch counts anew', () => {
    const [, one, two] = records('avaya-smdr', sample('avaya-smdr'));
    assert.equal(one!.callId, two!.callId);
    assert.notEqual(one!.attributes.source_key, two!.attributes.source_key);
    const later = records('avaya-smdr', sample('avaya-smdr').replaceAll('2026/03/02', '2026/04/02'))[1];
    assert.notEqual(later!.callId, one!.callId);
  });

  test('of any release: 17 columns and more', () => {
    const [first] = sample('avaya-smdr').split('\n');
    for (const count of [17, 18, 30, 35, 37]) {
      const row = [...first!.split(','), ...Array(20).fill('')].slice(0, count).join(',');
      assert.deepEqual(told(records('avaya-smdr', row)[0]!), [
        ...['inbound', '+442079460123', '4324', 9, 0, 'no_answer', []],
      ]);
    }
  });

  test('the account: its own column, or another, or the one told', () => {
    assert.equal(records('avaya-smdr', sample('avaya-smdr'))[0]!.accountCode, 'acme');
    const byDevice = records('avaya-smdr', sample('avaya-smdr'), { accountField: 'party1device' });
    assert.equal(byDevice[0]!.accountCode, 'E4324');
    assert.throws(
      () => openSource('avaya-smdr', { timeZone: 'UTC', accountField: 'tenant' }),
      /no field "tenant"/,
    );
  });
});

describe("3CX's cdr.log", () => {
  test('duration is what was talked; who hung up before the answer tells how an unanswered call ended', () => {
    assert.deepEqual(records('3cx-cdr', sample('3cx-cdr')).map(told), [
      [null, '1002', '+12025550143', 48, 42, 'answered', []],
      [null, '+353861777149', '960', 337, 336, 'answered', []],
      [null, '+353861777149', '504', 12, 0, 'cancelled', []],
      [null, '1002', '1003', 4, 0, 'busy', []],
    ]);
  });

  test('a reason that is not known is kept and flagged', () => {
    const [record] = records('3cx-cdr', sample('3cx-cdr').replace('TerminatedBySrc', 'Wormhole'));
    const { result, flags, disconnectCause } = decided(record!);
    assert.deepEqual([result, flags, disconnectCause], ['answered', ['result_unknown'], 'Wormhole']);
  });

  test('with the first 20 columns alone', () => {
    const row = sample('3cx-cdr').split('\n')[1]!.split(',').slice(0, 20).join(',');
    assert.equal(records('3cx-cdr', row)[0]!.cld, '960');
  });
});

describe('another order than the maker’s', () => {
  for (const maker of ['avaya-smdr', '3cx-cdr'] as const) {
    const order = ORDERS[maker];
    const rows = sample(maker).trimEnd().split('\n');
    /** The rows with another column first, and their header. */
    const turned = rows.map((row) => [...row.split(',').slice(0, order.fewest)].reverse());
    const header = [...order.columns.slice(0, order.fewest)].reverse().join(',');
    const text = turned.map((cells) => cells.join(',')).join('\n');

    test(`${maker}: is refused unasked, with the line to use`, () => {
      for (const other of [text, `${header}\n${text}`]) {
        const found = detectFormat(Buffer.from(other));
        assert.equal(found.format, null, JSON.stringify(found));
        assert.match(found.why, /another order; put a header above the rows and import with --map/);
        for (const pair of order.map) assert.ok(found.why.includes(`--map "${pair}"`));
      }
    });

    test(`${maker}: is refused as it was told, each row or the whole file, with that line`, () => {
      assert.throws(() => read(maker, `${header}\n${text}`), /import with --map/);
      for (const { parsed } of read(maker, text)) {
        assert.equal(parsed.kind, 'rejected');
        assert.match((parsed as { rejection: { reason: string } }).rejection.reason, /^the row has|--map/);
      }
    });

    test(`${maker}: and that line reads it`, () => {
      const mapping = parseMapping(order.map, 'line');
      const reader = openSource('mapped', { timeZone: 'UTC', mapping });
      const taken = [...reader.push(Buffer.from(`${header}\n${text}\n`)), ...reader.end()];
      assert.deepEqual(
        taken.map(({ parsed }) => parsed.kind),
        rows.map(() => 'record'),
      );
    });

    test(`${maker}: its own header above its own order is skipped`, () => {
      const own = order.columns.slice(0, order.fewest).join(',');
      assert.equal(records(maker, `${own}\n${rows.join('\n')}`).length, rows.length);
      assert.equal(detectFormat(Buffer.from(`${own}\n${rows.join('\n')}\n`)).format, maker);
    });
  }
});
