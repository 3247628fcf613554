import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readNumberPattern } from './number_pattern.ts';

test('a number, a prefix, and stars that belong to the number', () => {
  assert.deepEqual(readNumberPattern('+4930123456'), { kind: 'exact', number: '+4930123456' });
  assert.deepEqual(readNumberPattern('+4930*'), { kind: 'prefix', from: '+4930', below: '+4931' });
  assert.deepEqual(readNumberPattern('\\*100'), { kind: 'exact', number: '*100' });
  assert.deepEqual(readNumberPattern('\\*1*'), { kind: 'prefix', from: '*1', below: '*2' });
  assert.deepEqual(readNumberPattern('a\\\\'), { kind: 'exact', number: 'a\\' });
});

test('a + that a URL turned into a blank is still one', () => {
  assert.deepEqual(readNumberPattern(' 4930*'), { kind: 'prefix', from: '+4930', below: '+4931' });
});

test('what can not be meant is refused', () => {
  for (const text of ['*', '+49*30', '*100', '\\x', '+49\\', '\u{10ffff}*']) {
    assert.equal(readNumberPattern(text).kind, 'bad', text);
  }
});

test('a prefix holds exactly the texts that begin with it, in the order of bytes', () => {
  const bytes = (text: string) => Buffer.from(text);
  const text = fc.string({ unit: 'binary', maxLength: 6 });
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }),
      text,
      text,
      (prefix, tail, other) => {
        const written = prefix.replace(/[\\*]/g, '\\$&').replace(/^ /, '+');
        const read = readNumberPattern(`${written}*`);
        fc.pre(read.kind === 'prefix');
        assert.ok(read.kind === 'prefix');
        for (const candidate of [read.from + tail, other]) {
          const within: boolean =
            Buffer.compare(bytes(read.from), bytes(candidate)) <= 0 &&
            Buffer.compare(bytes(candidate), bytes(read.below)) < 0;
          assert.equal(within, candidate.startsWith(read.from), JSON.stringify([read, candidate]));
        }
      },
    ),
  );
});
