import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keepingLines } from './keeping.ts';
import type { NodeSpace } from './space.ts';

const GIB = 1024 ** 3;
const space = (node: string, usedPercent: number, more: Partial<NodeSpace> = {}): NodeSpace => ({
  node,
  volumes: [
    {
      ...{ holds: 'data and wal', path: `/srv/${node}`, sizeBytes: 100 * GIB },
      freeBytes: (100 - usedPercent) * GIB,
    },
  ],
  ballast: 'kept',
  ...more,
});

test('disks, the lease and the supervisor take two lines of 80 columns', () => {
  const disks = ['node1', 'node2', 'node3'].map((node) => space(node, 45));
  const lines = keepingLines({ disks, lease: { holder: 'node1', ageS: 3 }, supervisor: 4_194_303 });
  assert.ok(lines.every((line) => line.length <= 80));
  assert.deepEqual(lines, [
    'disks (free): node1 45 % (55 GiB), node2 45 % (55 GiB), node3 45 % (55 GiB)',
    'lease: held by node1, renewed 3 s ago · supervisor: process 4194303',
  ]);
});

test('unknown values are shown as not known, and a deleted ballast is named', () => {
  const disks = [space('node1', 97, { ballast: 'released' }), space('node2', 1, { volumes: [] })];
  assert.deepEqual(keepingLines({ disks, lease: null, supervisor: null }), [
    'disks (free): node1 97 % (3.0 GiB), ballast used up, node2 not known',
    'lease: free or not known · supervisor: not known',
  ]);
  assert.equal(keepingLines({ disks: [], lease: null, supervisor: null })[0], 'disks (free): not known');
});
