import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readNetwork } from '#platform/config/network.ts';
import { clientOf, trustOf } from './client_address.ts';

const client = (ip: string, remoteAddress?: string) => clientOf({ ip, socket: { remoteAddress } });

test('a client is an IPv4 address or the /64 of an IPv6 address, in any notation', () => {
  for (const [ip, expected] of [
    ['203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:51234', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:80', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::9', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::7]:443', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ] as const)
    assert.equal(client(ip), expected, ip);
});

test('a header without an address counts for its sender', () => {
  for (const ip of ['unknown', '_hidden', '', '1.2.3', '999.1.1.1', 'a'.repeat(9_000), '203.0.113.7:x'])
    assert.equal(client(ip, '10.0.0.1'), '10.0.0.1', ip);
  assert.equal(client('unknown'), 'unknown');
});

test('all addresses of a /64 are one client, in any abbreviation of zeros', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }), fc.nat(0xffff), (groups, last) => {
      const written = (all: number[]) => all.map((group) => group.toString(16)).join(':');
      const other = [...groups.slice(0, 7), last];
      const short = new URL(`http://[${written(groups)}]`).hostname.slice(1, -1);
      assert.equal(client(short), client(written(other)));
      assert.ok(client(short).startsWith(written(groups.slice(0, 4))));
    }),
  );
});

test('only a proxy within the networks is trusted', () => {
  const trusts = trustOf(['10.0.0.0/8', 'fd00::/8'].map((text) => readNetwork(text)!));
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd12::1']) assert.ok(trusts(address), address);
  for (const address of ['11.1.2.3', 'fe80::1', '::ffff:11.0.0.1', 'unknown', ''])
    assert.ok(!trusts(address), address);
});
