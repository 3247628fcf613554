/** Bodies that are made to hold up the service: nothing of them is read at once, and what is too large not at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BYTES_A_TURN, createTurns, KEYS_A_TURN } from '#platform/lifecycle/turns.ts';
import { type Json, testApi } from '#tests/calls_api.ts';
import { TooManyKeysError } from '../../formats/freeswitch_post.ts';
import { readPostedDocument } from '../../formats/posted_document.ts';
import { createDocumentReader } from './document_reader.ts';
import { readPostedBody } from './posted_body.ts';

const api = await testApi();
const ingest = await api.key('ingest');
await api.account('acme');
const documents = createDocumentReader();
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const codes = async () => [];

const record = {
  account: 'acme',
  start_time: '2026-11-20T10:00:00Z',
  cld: '+442079460001',
  duration_s: 1,
  result: 'busy',
};
const keys = (count: number) => Array.from({ length: count }, (_, at) => `"k${at}":1`).join();
const aDocument = (bytes: number, more = '') =>
  `{"variables":{"uuid":"u-${bytes}","accountcode":"acme","start_epoch":"1763632800","end_epoch":"1763632801",` +
  `"duration":"1","billsec":"0","hangup_cause":"USER_BUSY"${more}},` +
  `"callflow":[{"caller_profile":{"caller_id_number":"1001","destination_number":"1002"}}],` +
  `"app_log":{"applications":["${'x'.repeat(bytes)}"]}}`;

/** How often others got their turn while a body was read. */
async function turnsWhile(read: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let reading = true;
  const count = () => {
    turns++;
    if (reading) setImmediate(count);
  };
  setImmediate(count);
  await read();
  reading = false;
  return turns;
}

test('work is cut up by bytes and by keys', async () => {
  const turns = createTurns();
  let begun = 0;
  for (let piece = 0; piece < 100; piece++) {
    const pause = turns.take(10_000, 50);
    if (pause) begun++;
    await pause;
  }
  assert.equal(begun, Math.ceil(100 / Math.floor(BYTES_A_TURN / 10_000)) - 1);
  assert.equal(createTurns().take(BYTES_A_TURN, KEYS_A_TURN), undefined);
});

test('a large array is read in turns of at most 64 KiB and 1,000 keys', async () => {
  const records = Array.from({ length: 10_000 }, (_, at) => ({
    ...record,
    call_id: `c${at}`,
    description: 'x'.repeat(300),
  }));
  const body = Buffer.from(JSON.stringify(records));
  const turns = await turnsWhile(() => readPostedBody(body, JSON_TYPE, documents, codes));
  const keysOfAll = records.length * Object.keys(records[0]!).length;
  const least =
    body.length / BYTES_A_TURN + 2 * Math.max(body.length / BYTES_A_TURN, keysOfAll / KEYS_A_TURN);
  assert.ok(turns >= least - 3, `${turns} turns for what takes ${least}`);
});

/** Each with what is to come of it: of its records, or of all of it. */
const BODIES: readonly [
  what: string,
  body: () => string,
  type: string,
  wanted: string | readonly string[],
][] = [
  ['a record of 2,000,000 keys', () => `[{${keys(2_000_000)}}]`, JSON_TYPE, ['too_large']],
  ['a small record of 2,000 keys', () => `[{"attributes":{${keys(2_000)}}}]`, JSON_TYPE, ['too_large']],
  ['a document of 2,000,000 keys', () => `{"variables":{${keys(2_000_000)}}}`, JSON_TYPE, 'bad_batch'],
  ['a document of 60,000 keys', () => aDocument(10, `,${keys(60_000)}`), JSON_TYPE, 'bad_batch'],
  ['a document of 9,000 keys', () => aDocument(11, `,${keys(9_000)}`), JSON_TYPE, ['stored']],
  ['a document of 900 kB', () => aDocument(900_000), JSON_TYPE, ['stored']],
  ['the same as a form', () => `cdr=${encodeURIComponent(aDocument(900_001))}`, FORM_TYPE, ['stored']],
  [
    'the same in base64',
    () => `cdr=${Buffer.from(aDocument(900_002)).toString('base64')}`,
    FORM_TYPE,
    ['stored'],
  ],
  ['a form of 24 MB', () => `cdr=%7B%22${'x'.repeat(24_000_000)}`, FORM_TYPE, 'bad_batch'],
  [
    'base64 that ends in blanks and is none',
    () => `cdr=${'a'.repeat(9)}${' '.repeat(2_900_000)}!`,
    FORM_TYPE,
    'bad_batch',
  ],
  ['a form of fields', () => 'a=1&'.repeat(700_000), FORM_TYPE, 'bad_batch'],
  [
    'variables that come twice',
    () => `cdr=%7B%22variables%22%3A%7B%22${'a%22%3A%22%22,%22'.repeat(60_000)}`,
    FORM_TYPE,
    'bad_batch',
  ],
  ['12,000,000 records', () => `[${'1,'.repeat(11_999_999)}1]`, JSON_TYPE, 'bad_batch'],
  ['10,000,000 levels', () => '['.repeat(10_000_000), JSON_TYPE, 'bad_batch'],
  [
    'levels of a record',
    () => `[{"attributes":${'[{"a":'.repeat(100)}1${'}]'.repeat(100)}}]`,
    JSON_TYPE,
    ['too_large'],
  ],
  [
    'levels of a document',
    () => aDocument(12, `,"a":${'['.repeat(400_000)}${']'.repeat(400_000)}`),
    JSON_TYPE,
    'bad_batch',
  ],
  ['a text of 24 MB', () => `[{"cld":"${'x'.repeat(24_000_000)}"}]`, JSON_TYPE, ['too_large']],
  ['a text that does not end', () => `[{"cld":"${'x'.repeat(24_000_000)}`, JSON_TYPE, 'bad_batch'],
  [
    'an array of 24 MB within a record',
    () => `[{"attributes":[${'1,'.repeat(12_000_000)}1]}]`,
    JSON_TYPE,
    ['too_large'],
  ],
  ['blanks', () => `[${' '.repeat(24_000_000)}]`, JSON_TYPE, 'bad_batch'],
  ['a number of 60,000 digits', () => `[{"cost":${'1'.repeat(60_000)}}]`, JSON_TYPE, ['bad_value']],
  [
    'a time of 60,000 characters',
    () => `[{"start_time":"${'1-'.repeat(30_000)}"}]`,
    JSON_TYPE,
    ['bad_value'],
  ],
];

for (const [what, makeBody, type, wanted] of BODIES) {
  test(`${what}: is answered, and others are answered meanwhile`, async () => {
    const body = makeBody();
    let ended = false;
    const posting = api
      .send('POST', '/cdrs', { authorization: `Bearer ${ingest}`, 'content-type': type }, body)
      .finally(() => {
        ended = true;
      });
    let alive = 0;
    do {
      assert.equal((await api.get('/health/live', null)).status, 200);
      alive++;
    } while (!ended);
    const answer = await posting;
    if (typeof wanted === 'string')
      assert.deepEqual([answer.status, answer.body.code], [400, wanted], answer.text);
    else {
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(
        answer.body.data.map((one: Json) => one.code ?? one.status),
        wanted,
        answer.text,
      );
    }
    // Each of these is a turn at the least; what is read at once lets none through.
    assert.ok(body.length < 1_000_000 || alive > 3, `${alive} other answers`);
  });
}

test('what was too large is kept aside by its first bytes, the records beside it go in', async () => {
  const large = { ...record, call_id: 'large', description: 'x'.repeat(70_000) };
  const { body } = await api.post([{ ...record, call_id: 'a' }, large, { ...record, call_id: 'b' }], ingest);
  assert.deepEqual([body.stored, body.set_aside, body.data[1].code], [2, 1, 'too_large']);
  assert.match(body.data[1].error, /has 70\d\d\d bytes.*at most 65536/);
  const { rows } = await api.database.pool.query(
    "SELECT length(bytes) AS bytes FROM calls.rejected_cdrs WHERE reason LIKE '%has 70%' AND line = 2",
  );
  assert.equal(rows[0].bytes, 65_536);
});

test('an array with a record that is not UTF-8 is refused, and told where', async () => {
  const { rows: before } = await api.database.pool.query('SELECT count(*) FROM calls.cdrs');
  const good = JSON.stringify({ ...record, call_id: 'u8', description: 'M\u00fcnchen \ufffd' });
  const cut = Buffer.from('"description":"M\u00fcnchen"').subarray(0, 17);
  for (const [bad, byte, at] of [
    [Buffer.from('{"description":"M\u00fcnchen"}', 'latin1'), 'FC', 17],
    [Buffer.concat([Buffer.from('{'), cut, Buffer.from('"}')]), 'C3', 17],
    [Buffer.from('{"a":"\xed\xa0\x80"}', 'latin1'), 'ED', 6],
    [Buffer.from('{"a":"\xc0\xaf"}', 'latin1'), 'C0', 6],
    [Buffer.from('{"a":"\xef\xbf"}', 'latin1'), '22', 8],
    [Buffer.from('{"a\x80":""}', 'latin1'), '80', 3],
  ] as const) {
    const body = Buffer.concat([Buffer.from(`[${good},`), bad, Buffer.from(']')]);
    const headers = { authorization: `Bearer ${ingest}`, 'content-type': JSON_TYPE };
    const answer = await api.send('POST', '/cdrs', headers, body);
    assert.deepEqual([answer.status, answer.body.code], [400, 'bad_batch'], answer.text);
    const place = Buffer.byteLength(`[${good},`) + at;
    assert.ok(answer.body.error.includes(`of record 1, it is not UTF-8`), answer.text);
    assert.ok(answer.body.error.endsWith(`the byte 0x${byte} at position ${place}`), answer.text);
  }
  const { rows: after } = await api.database.pool.query('SELECT count(*) FROM calls.cdrs');
  assert.deepEqual(after, before);
});

test('a document of many elements or names is not read where others wait, whichever of the two it is', () => {
  const names = Array.from({ length: 1_500 }, (_, n) => `n${n}`);
  const xml = `<cdr><variables>${names.map((name) => `<${name}>1</${name}>`).join('')}</variables></cdr>`;
  const json = JSON.stringify({ variables: Object.fromEntries(names.map((name) => [name, '1'])) });
  for (const text of [xml, json]) {
    const body = Buffer.from(text);
    assert.throws(() => readPostedDocument(body, '', KEYS_A_TURN), TooManyKeysError);
    assert.ok(readPostedDocument(body, ''));
  }
});
