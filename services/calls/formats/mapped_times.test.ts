import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DateOrder } from '../time/stamp_text.ts';
import { createCsvReader } from './csv_reader.ts';
import { mappedRows } from './mapped.ts';
import { parseMapping } from './mapping.ts';

/** Start, answer and end of one row, or why it was refused. */
function times(
  pairs: string[],
  header: string,
  row: string,
  options: { dateOrder?: DateOrder; timeZone?: string } = {},
) {
  const mapping = parseMapping([...pairs, 'To=cld'], 'm');
  const reader = createCsvReader(mappedRows({ timeZone: 'UTC', mapping, ...options }));
  const rows = [...reader.push(Buffer.from(`${header},To\n${row},1001\n`)), ...reader.end()];
  const { parsed } = rows[0]!;
  if (parsed.kind === 'rejected')
    return [parsed.rejection.code, parsed.rejection.field, parsed.rejection.reason];
  const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString().replace('.000Z', ''));
  const { startTime, connectTime, disconnectTime } = parsed.record;
  return [iso(startTime), iso(connectTime), iso(disconnectTime)];
}

describe('date and time in two columns', () => {
  const TWO = ['Date=start_date', 'Time=start_time', 'Secs=duration_s'];

  test('are one stamp, in every form of either', () => {
    const rows: [row: string, dateOrder?: DateOrder][] = [
      ['2026-03-02,09:04:54,48'],
      ['3/2/2026,9:04:54 AM,48', 'mdy'],
      ['02.03.26,09.04.54,48', 'dmy'],
      ['02-Mar-2026,09:04:54,48'],
      ['20260302,09:04:54,48'],
      ['20260302,090454,48'],
      ['2026-03-02 00:00:00,09:04:54,48'],
      ['3/2/2026 12:00:00 AM,12/30/1899 9:04:54 AM,48', 'mdy'],
    ];
    for (const [row, dateOrder] of rows)
      assert.deepEqual(
        times(TWO, 'Date,Time,Secs', row, { ...(dateOrder && { dateOrder }) }),
        ['2026-03-02T09:04:54', null, null],
        row,
      );
  });

  test('one without the other is no time; a date whose order is not told is refused', () => {
    const cases: [string, RegExp][] = [
      ['2026-03-02,,48', /^Time: .*no time of day/],
      [',09:04:54,48', /^Time: "09:04:54" is not a time/],
      ['3/2/2026,9:04:54,48', /--date-order/],
      ['2026-03-02,2026-03-02 09:04:54,48', /is not a time/],
    ];
    for (const [row, reason] of cases) {
      const [code, , told] = times(TWO, 'Date,Time,Secs', row);
      assert.equal(code, 'bad_time', row);
      assert.match(told!, reason);
    }
    assert.equal(times(TWO, 'Date,Time,Secs', ',,48')[0], 'missing_field');
    assert.throws(() => parseMapping(['Date=start_date', 'Secs=duration_s', 'To=cld'], 'm'), /start_time/);
    assert.throws(
      () => parseMapping([...TWO, 'D=connect_date', 'To=cld'], 'm'),
      /connect_date is mapped without connect_time/,
    );
  });

  const ENDS = [...TWO, 'Answer=connect_time', 'End=disconnect_time'];
  const ends = (row: string, options = {}) => times(ENDS, 'Date,Time,Secs,Answer,End', row, options);

  test('an end over midnight is of the next day, also days later', () => {
    assert.deepEqual(ends('2026-03-02,23:59:50,30,23:59:55,00:00:20'), [
      '2026-03-02T23:59:50',
      '2026-03-02T23:59:55',
      '2026-03-03T00:00:20',
    ]);
    assert.deepEqual(ends('2026-03-02,23:59:58,30,00:00:03,00:00:28')[1], '2026-03-03T00:00:03');
    assert.deepEqual(ends('2026-03-02,09:00:00,172805,09:00:05,09:00:05')[2], '2026-03-04T09:00:05');
    assert.deepEqual(ends('2026-02-28,11:59:50 PM,30,11:59:55 PM,12:00:20 AM')[2], '2026-03-01T00:00:20');
  });

  test('an end that goes back with the clocks is of the same day', () => {
    const [start, connect, end] = ends('2026-10-25,02:59:50,40,02:59:55,02:00:30', {
      timeZone: 'Europe/Berlin',
    });
    assert.deepEqual(
      [start, connect, end],
      ['2026-10-25T00:59:50', '2026-10-25T00:59:55', '2026-10-25T01:00:30'],
    );
  });

  test('an end that does not agree with the duration is refused, and so is one that is only before the start', () => {
    assert.match(
      ends('2026-03-02,09:00:00,30,09:00:05,15:00:00')[2]!,
      /^End: "15:00:00" .* the start and the duration/,
    );
    const UNTOLD = ['Date=start_date', 'Time=start_time', 'End=disconnect_time'];
    const untold = (row: string) => times(UNTOLD, 'Date,Time,End', row);
    assert.deepEqual(untold('2026-03-02,23:00:00,01:00:00')[2], '2026-03-03T01:00:00');
    assert.equal(untold('2026-10-25,02:59:00,02:01:00')[0], 'bad_time');
  });

  test('any call of up to a week, in any zone without a change meanwhile, is placed where it was', () => {
    const at = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(
        at,
        fc.integer({ min: 0, max: 604_800 }),
        fc.integer({ min: 0, max: 120 }),
        (start, duration, ring) => {
          const iso = (s: number) => new Date(s * 1000).toISOString().slice(0, 19);
          const [day, time] = iso(start).split('T');
          const connect = Math.min(start + ring, start + duration);
          const row = `${day},${time},${duration},${iso(connect).slice(11)},${iso(start + duration).slice(11)}`;
          assert.deepEqual(ends(row), [iso(start), iso(connect), iso(start + duration)], row);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('serial numbers of a spreadsheet', () => {
  const SERIAL = ['Start=start_time:excel', 'Secs=duration_s'];

  test('are read where the mapping says so, and nowhere else', () => {
    assert.deepEqual(times(SERIAL, 'Start,Secs', '46083.378402777776,48')[0], '2026-03-02T09:04:54');
    assert.deepEqual(times(SERIAL, 'Start,Secs', '46083.375,48')[0], '2026-03-02T09:00:00');
    assert.equal(
      times(['Start=start_time', 'Secs=duration_s'], 'Start,Secs', '46083.378402777776,48')[0],
      'bad_time',
    );
    const two = ['Date=start_date:excel', 'Time=start_time:excel', 'Secs=duration_s'];
    assert.deepEqual(times(two, 'Date,Time,Secs', '46083,0.378402777776,48')[0], '2026-03-02T09:04:54');
  });

  test('that were rounded, or are none, are refused', () => {
    for (const text of ['46083.3784', '46083.38', '59.5', '9999999', '2026-03-02 09:00:00', '-1'])
      assert.match(times(SERIAL, 'Start,Secs', `${text},48`)[2]!, /^Start: .*serial number/, text);
  });

  test('every second is read back from what a spreadsheet makes of it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 86_400, max: 2 ** 31 }),
        fc.integer({ min: 10, max: 15 }),
        (s, digits) => {
          const serial = (s / 86_400 + 25_569).toPrecision(digits);
          const [read] = times(SERIAL, 'Start,Secs', `${serial},48`);
          const is = new Date(s * 1000).toISOString().replace('.000Z', '');
          // Never another second: with few digits it is refused, or off by the milliseconds that the digits lack.
          if (read !== 'bad_time')
            assert.ok(
              Math.abs(Date.parse(`${read!.replace('Z', '')}Z`) - s * 1000) <= 1,
              `${serial} ${read} ${is}`,
            );
          else assert.ok(digits < 13, serial);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

test('a unit is one that the field has', () => {
  assert.throws(() => parseMapping(['A=start_time:min'], 'm'), /start_time has the units excel, not "min"/);
  assert.throws(
    () => parseMapping(['A=duration_s:days'], 'm'),
    /duration_s has the units s, ms, min, h, m:ss, h:mm, not "days"/,
  );
  assert.throws(() => parseMapping(['A=cli:s'], 'm'), /cli has no units, not "s"/);
  const mapping = parseMapping(['Start=start_time', 'Length: total=duration_s:m:ss', 'To=cld'], 'm');
  assert.deepEqual(mapping.columns['Length: total'], 'duration_s:m:ss');
});
