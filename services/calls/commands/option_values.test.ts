import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asName } from './option_values.ts';

test('the name of a source or of a map is no blank, and has none around it, which would be another source', () => {
  for (const name of ['', ' ', 'pbx1 ', '\u00a0pbx1', '\u200bpbx1', 'Zu\u0308rich'])
    assert.throws(
      () => asName(name),
      /must be a name in NFC, without blanks around it/,
      JSON.stringify(name),
    );
  assert.throws(() => asName('a\u202eb'), /control characters/);
  for (const name of ['pbx1', 'pbx 1', 'Z\u00fcrich']) assert.equal(asName(name), name);
});
