import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readNetwork } from './network.ts';

test('a network is an address or a prefix; no network holds every address', () => {
  assert.deepEqual(readNetwork('10.0.0.0/8'), { address: '10.0.0.0', prefix: 8 });
  assert.deepEqual(readNetwork(' 127.0.0.1 '), { address: '127.0.0.1', prefix: 32 });
  assert.deepEqual(readNetwork('fd00::/8'), { address: 'fd00::', prefix: 8 });
  for (const text of ['0.0.0.0/0', '::/0', '10.0.0.0/33', 'fd00::/129', 'proxy', '10.0.0', '10.0.0.0/', ''])
    assert.equal(readNetwork(text), undefined, text);
});
