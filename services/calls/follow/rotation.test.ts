import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rotatedNames } from './rotation.ts';

test('names that rotations give are told from others in the folder', () => {
  const rotated = [
    ...['Master.csv.1', 'Master.csv.2.gz', 'Master.csv-20261128', 'Master.csv-20261128.gz', 'Master.csv.old'],
    ...[
      'Master-20261128.csv',
      'Master.1.csv.gz',
      'Master.csv.2026-11-28-00-00-00',
      'Master.csv_2026-11-28T00:00:00Z',
    ],
  ];
  const others = [
    ...[
      'Master.csv',
      'Master.csv.gz',
      'Master.csv.swp',
      'Master.csv.1.bz2',
      'Master.csv~',
      'Master2.csv',
      'x.csv.1',
    ],
    ...['Master-berlin.csv', 'Master.csvx.1', '.Master.csv.1', 'Master-1.txt'],
  ];
  assert.deepEqual(rotatedNames('/var/log/Master.csv', [...others, ...rotated]), rotated);
  assert.deepEqual(rotatedNames('/var/log/cdr', ['cdr.1', 'cdr-2', 'cdrs.1', 'cdr']), ['cdr.1', 'cdr-2']);
});
