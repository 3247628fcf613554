/** What is logged of requests: enough to follow one, and never a whole number or a key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf } from '#platform/access/key.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { type Json, testApi } from '#tests/calls_api.ts';

const lines: string[] = [];
const logger = createLogger('calls', 'debug', { write: (line: string) => void lines.push(line) });
const api = await testApi({}, { logger });
const operator = await api.key('operator');
const iAcme = await api.account('acme');

const NUMBER = '493023125001';
const KEY = keyOf(Buffer.alloc(32, 7));

async function logged(
  path: string,
  headers: Record<string, string> = {},
  key: string | null = operator,
): Promise<Json[]> {
  lines.length = 0;
  await api.get(path, key, headers);
  const deadline = Date.now() + 5_000;
  // The line is written after the answer is through.
  while (!lines.some((line) => line.includes('"route"'))) {
    assert.ok(Date.now() < deadline, 'nothing was logged');
    await new Promise((soon) => setImmediate(soon));
  }
  return lines.map((line) => JSON.parse(line));
}

test('a request is logged with its id, route, caller, status and time', async () => {
  const all = await logged(`/cdrs?i_account=${iAcme}&type=answered`, { 'x-request-id': 'follow-me' });
  // The service's own housekeeping may speak in between.
  const line = all.find((one) => one.route !== undefined);
  assert.deepEqual(
    [line.level, line.service, line.method, line.route, line.status, line.caller, line.query.type],
    ['info', 'calls', 'GET', '/cdrs', 200, 'test operator', 'answered'],
  );
  assert.ok(JSON.stringify(line).includes('follow-me'));
  assert.equal(typeof line.duration_ms, 'number');
});

test('who is refused is found by the address; who is not leaves none', async () => {
  const lineOf = async (key: string | null) =>
    (await logged('/cdrs', {}, key)).find((one) => one.route !== undefined);
  for (const key of [null, KEY]) {
    const refused = await lineOf(key);
    assert.deepEqual([refused.status, refused.client], [401, '127.0.0.1']);
  }
  assert.ok(!('client' in (await lineOf(operator))));
});

test('no number and no key is logged whole, wherever it stands', async () => {
  const paths = [
    `/cdrs?i_account=${iAcme}&cli=%2B${NUMBER}`,
    `/cdrs?i_account=${iAcme}&cld=${NUMBER}*`,
    `/cdrs?i_account=${iAcme}&cli=%2B${NUMBER}&cli=${NUMBER}`,
    `/cdrs?i_account=${iAcme}&call_id=${NUMBER}@10.0.0.1`,
    ...[' ', '-', '.', '%20', '%2520', ' - '].map(
      (gap) => `/cdrs?i_account=${iAcme}&call_id=${encodeURIComponent(`49${gap}30${gap}23125001`)}`,
    ),
    `/cdrs?number=%2B${NUMBER}&key=${KEY}`,
    `/cdrs?%2B${NUMBER}=1`,
    `/cdrs?i_account=${iAcme}&cli=sip:%2B${NUMBER}@sip.example.com`,
    `/cdrs?i_account=${iAcme}&cld=tel:${NUMBER};phone-context=x`,
    `/cdrs?i_account=${NUMBER}`,
    `/cdrs?min_duration_s=${NUMBER}`,
    `/cdrs/${NUMBER}00000`,
    `/calls/${NUMBER}?key=${KEY}`,
  ];
  for (const path of paths) {
    const text = JSON.stringify(await logged(path, { 'x-key': KEY, 'x-request-id': NUMBER }));
    assert.ok(!text.includes(NUMBER) && !text.includes('23125001'), `${path}: ${text}`);
    assert.ok(!text.includes(KEY) && !text.includes(operator), `${path}: ${text}`);
  }
});

test('an error of the database is logged without the row that it quotes', async () => {
  const insert = `INSERT INTO calls.accounts (code, name, currency, time_zone) VALUES ('${NUMBER}', 'x', 'EUR', 'UTC')`;
  lines.length = 0;
  await api.database.pool.query(insert);
  await api.database.pool.query(insert).catch((error: Error) => logger.error({ err: error }, 'failed'));
  assert.match(lines[0]!, /duplicate key value/);
  assert.ok(!lines[0]!.includes(NUMBER), lines[0]);
});
