/**
 * Nothing that support can ask tells a digit that is masked to it: of two calls that differ in one such digit, wherever
 * and however their numbers are written, all answers are the same but for the calls' own ids; and ids find what is shown.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Answer, testApi } from '#tests/calls_api.ts';
import { callsThatDifferInAMaskedDigit } from '#tests/masked_calls.ts';

const api = await testApi();
const operator = await api.key('operator');
const support = await api.key('support');

let accounts = 0;
/** Longer ones can't be asked for. */
const LONGEST_ID = 500;

/** A call as support sees it, by every route, without what is the call's own id. */
async function everything(iAccount: number, ids: readonly string[]): Promise<string[]> {
  const ask = async (path: string, accept = 'application/json') => {
    const { status, text }: Answer = await api.get(path, support, { accept });
    assert.equal(status, 200, text);
    return (
      text
        .replace(
          /("i_cdr"|"answered_leg"|"i_account"|"i_import"|"duration_ms"|"replica_lag_s"):[\d.null]+/g,
          '$1',
        )
        .replace(/"data_complete_to":"[^"]+"/, '')
        .replace(/^\d{16},\d+,/m, '')
        // The leg that was answered, in a file of calls.
        .replace(/,\d{16},/, ',')
    );
  };
  const list = await api.get(`/cdrs?i_account=${iAccount}`, support);
  const [call] = list.body.data;
  const answers = [
    await ask(`/cdrs?i_account=${iAccount}&type=answered&order=asc`),
    await ask(`/cdrs?i_account=${iAccount}`, 'text/csv'),
    await ask(`/cdrs/${call.i_cdr}`),
    await ask(`/cdrs/${call.i_cdr}/legs`),
    await ask(`/cdrs?i_account=${iAccount}&view=calls`),
    await ask(`/cdrs?i_account=${iAccount}&view=calls`, 'text/csv'),
    await ask(`/consumption?i_account=${iAccount}&from=2026-03-01&to=2026-04-01&view=calls`),
    await ask(`/consumption?i_account=${iAccount}&from=2026-03-01&to=2026-04-01&group_by=country`),
  ];
  for (const id of ids) {
    const legs = await ask(`/cdrs?i_account=${iAccount}&linked_id=${encodeURIComponent(id)}&with_total=true`);
    assert.equal(
      legs.includes('"total":1'),
      id === call.linked_id,
      `${id}, shown as ${call.linked_id}: ${legs}`,
    );
    answers.push(
      legs,
      await ask(`/cdrs?i_account=${iAccount}&view=calls&linked_id=${encodeURIComponent(id)}`),
    );
    const filter = `i_account=${iAccount}&call_id=${encodeURIComponent(id)}`;
    const found = await ask(`/cdrs?${filter}&with_total=true`);
    assert.equal(
      found.includes('"total":1'),
      id === call.call_id,
      `${id}, shown as ${call.call_id}: ${found}`,
    );
    answers.push(found, await ask(`/cdrs?${filter}`, 'text/csv'));
  }
  return answers;
}

test('of two calls that differ in a masked digit, support gets the same answers', async () => {
  await fc.assert(
    fc.asyncProperty(callsThatDifferInAMaskedDigit, async (made) => {
      const seen: string[][] = [];
      const ids: string[] = ['none'];
      for (const { record } of made) {
        if (record.call_id !== null && record.call_id.length <= LONGEST_ID) ids.push(record.call_id);
        if (record.linked_id !== null) ids.push(record.linked_id);
      }
      for (const { record, source } of made) {
        const code = `account-${accounts++}`;
        const iAccount = await api.account(code);
        // A record comes once from each source, and these two may have the same id.
        const place = `switch ${[...code].map((digit) => String.fromCharCode(digit.charCodeAt(0) | 0x40)).join('')} `;
        const path = `/cdrs?source=${encodeURIComponent(place + source)}`;
        const posted = await api.post([{ account: code, ...record }], operator, path);
        assert.equal(posted.body.stored, 1, posted.text);
        const answers = await everything(iAccount, ids);
        seen.push(answers.map((text) => text.replaceAll(place, '')));
      }
      for (const [at, answer] of seen[0]!.entries()) assert.equal(answer, seen[1]![at]);
    }),
    // Digits that shrink to noughts meet by chance.
    { numRuns: 100, endOnFailure: true },
  );
});
