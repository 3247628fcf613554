/** POST /cdrs as switches and programs send it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Json, testApi } from '#tests/calls_api.ts';
import { retryRejected } from '../../intake/retry.ts';

const api = await testApi({ bodyLimitBytes: 4_000_000 });
const { pool } = api.database;
const ingest = await api.key('ingest');
const operator = await api.key('operator');
const iAcme = await api.account('acme', { timeZone: 'Europe/Berlin', currency: 'CHF' });

const SAMPLE = new URL(
  '../../../../tests/samples/freeswitch-json/c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.json',
  import.meta.url,
);
const DOCUMENT = readFileSync(SAMPLE, 'utf8');
/** The same call by mod_xml_cdr. */
const XML_DOCUMENT = readFileSync(
  new URL(
    '../../../../tests/samples/freeswitch-xml/a_c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.xml',
    import.meta.url,
  ),
  'utf8',
);

let posted = 0;
const record = (fields: object = {}) => ({
  account: 'acme',
  call_id: `posted-${++posted}`,
  start_time: new Date(Date.parse('2026-11-20T10:00:00Z') + posted * 1000).toISOString(),
  connect_time: '2026-11-20T12:00:00+01:00',
  cli: '+493023125001',
  cld: '+442079460001',
  duration_s: 65,
  billed_duration_s: 60,
  ...fields,
});

const statuses = (body: Json) => body.data.map((outcome: Json) => outcome.status);

test('an array: each record gets its own answer, in order, and one bad one refuses no other', async () => {
  const good = record({ cost: '0.0420', currency: 'EUR' });
  const { status, body } = await api.post(
    [
      good,
      good,
      record({ start_time: '2026-11-20T10:00:00' }),
      record({ account: 'nobody' }),
      record({ i_account: iAcme, account: undefined }),
      7,
    ],
    ingest,
  );
  assert.equal(status, 200);
  assert.deepEqual(statuses(body), ['stored', 'duplicate', 'set_aside', 'set_aside', 'stored', 'set_aside']);
  assert.deepEqual(
    body.data.map((outcome: Json) => outcome.index),
    [0, 1, 2, 3, 4, 5],
  );
  assert.deepEqual([body.stored, body.duplicates, body.set_aside], [2, 1, 3]);
  assert.deepEqual([body.data[2].code, body.data[2].field], ['bad_time', 'start_time']);
  assert.deepEqual([body.data[3].code, body.data[3].field], ['unknown_account', 'account']);
  assert.equal(body.data[5].code, 'unreadable_row');

  const { body: call } = await api.get(`/cdrs/${body.data[0].i_cdr}`, operator);
  assert.deepEqual(
    [
      call.data.i_account,
      call.data.cost,
      call.data.currency,
      call.data.file,
      call.data.line,
      call.data.source,
    ],
    [iAcme, '0.0420', 'EUR', 'POST /cdrs', 1, 'posted'],
  );
  const { body: second } = await api.get(`/cdrs/${body.data[4].i_cdr}`, operator);
  assert.equal(second.data.currency, 'CHF');
});

test('what is sent again is recognised, from another source it is another record', async () => {
  const records = [record(), record({ source_key: 'leg-1', cost: '1' })];
  assert.deepEqual(statuses((await api.post(records, ingest)).body), ['stored', 'stored']);
  assert.deepEqual(statuses((await api.post(records, ingest)).body), ['duplicate', 'duplicate']);
  const corrected = [{ ...records[1], cost: '2' }];
  const { body } = await api.post(corrected, ingest);
  assert.deepEqual(statuses(body), ['conflict']);
  assert.deepEqual(body.data[0].differences, [{ field: 'cost', stored: '1', told: '2' }]);
  assert.deepEqual(statuses((await api.post(records, ingest, '/cdrs?source=sbc2')).body), [
    'stored',
    'stored',
  ]);
  const { rows } = await pool.query('SELECT count(*) AS n FROM calls.imports WHERE source = $1', ['sbc2']);
  assert.equal(rows[0].n, 1, 'all posts of a switch are one import');
});

test('a name of a switch that is blank, or has blanks around it, would be another switch: it is refused', async () => {
  for (const name of ['', ' ', '%20%20', 'sbc2%20', '%09sbc2', '%C2%A0sbc2']) {
    const { status, body } = await api.post([record()], ingest, `/cdrs?source=${name}`);
    assert.deepEqual([status, body.fields], [400, ['source']], JSON.stringify([name, body]));
  }
});

test('one record posted five times in other words is one call: filled, known, or told of as a conflict', async () => {
  const told = {
    ...record({ call_id: 'in-other-words', cost: '0.025' }),
    start_time: '2026-11-20T10:00:00Z',
  };
  const words = [
    [told, 'stored'],
    [{ ...told, cost: '0.03' }, 'conflict'],
    [{ ...told, cost: 0.025 }, 'duplicate'],
    [{ ...told, cost: '0.0250' }, 'duplicate'],
    [{ ...told, description: 'one more column' }, 'completed'],
    [{ ...told, start_time: '2026-11-20T11:00:00.000+01:00' }, 'duplicate'],
  ] as const;
  const iCdrs = new Set<number>();
  const statusOf = async (record: object) => {
    const { body } = await api.post([record], ingest);
    assert.equal(body.stored + body.completed + body.duplicates + body.conflicts + body.set_aside, 1);
    if (body.data[0].i_cdr) iCdrs.add(body.data[0].i_cdr);
    return body.data[0].status;
  };
  for (const [record, status] of words) assert.equal(await statusOf(record), status, JSON.stringify(record));
  // Again, and in one post.
  const { body } = await api.post(
    words.map(([record]) => record),
    ingest,
  );
  assert.deepEqual([body.stored, body.completed, body.duplicates, body.conflicts], [0, 0, 5, 1]);
  const { rows } = await pool.query(
    `SELECT i_cdr, cost, description FROM calls.cdrs WHERE call_id = 'in-other-words'`,
  );
  assert.deepEqual(rows, [{ i_cdr: [...iCdrs][0], cost: '0.025', description: 'one more column' }]);
});

test('a record in which a name stands twice is set aside, and stays so when it is tried again', async () => {
  const twice = JSON.stringify(record({ call_id: 'twice', cost: '0.02' })).replace('{', '{"cost":"0.01",');
  const json = { authorization: `Bearer ${ingest}`, 'content-type': 'application/json' };
  const response = await api.send('POST', '/cdrs', json, `[${twice},${JSON.stringify(record())}]`);
  assert.deepEqual(statuses(response.body), ['set_aside', 'stored']);
  assert.deepEqual(
    [response.body.data[0].code, response.body.data[0].field],
    ['bad_value', 'cost'],
    response.text,
  );
  const again = { filter: { code: 'bad_value' }, newAccounts: null, read: {} };
  const { tried, stillRejected } = await retryRejected(pool, again, () => undefined);
  assert.ok(tried > 0 && stillRejected === tried);
  const { rows } = await pool.query(`SELECT 1 FROM calls.cdrs WHERE call_id = 'twice'`);
  assert.equal(rows.length, 0);
  const document = DOCUMENT.replace(/"variables"\s*:\s*\{/, '"variables":{"billsec":"1",');
  const refused = await api.send('POST', '/cdrs', json, document);
  assert.deepEqual([refused.status, refused.body.code], [400, 'bad_batch']);
  assert.match(refused.body.error, /the name "billsec" twice/);
});

test('many posts at once store each record once', async () => {
  const records = Array.from({ length: 20 }, () => record());
  const answers = await Promise.all(Array.from({ length: 8 }, () => api.post(records, ingest)));
  const stored = answers
    .flatMap(({ body }) => statuses(body))
    .filter((status: string) => status === 'stored');
  assert.equal(stored.length, 20);
  for (const { status } of answers) assert.equal(status, 200);
});

test('an account that nobody has is made when the post asks for it', async () => {
  const records = [record({ account: 'newcomer' })];
  assert.deepEqual(statuses((await api.post(records, ingest)).body), ['set_aside']);
  assert.deepEqual(statuses((await api.post(records, ingest, '/cdrs?create_accounts=true')).body), [
    'stored',
  ]);
  const { rows } = await pool.query(`SELECT currency, time_zone FROM calls.accounts WHERE code = 'newcomer'`);
  assert.deepEqual(rows, [{ currency: 'EUR', time_zone: 'UTC' }]);
});

test('a record that was set aside goes in when it is tried again and its account exists', async () => {
  const { body } = await api.post([record({ account: 'late', call_id: 'waits' })], ingest);
  assert.deepEqual(statuses(body), ['set_aside']);
  await api.account('late');
  const counts = await retryRejected(
    pool,
    { filter: { code: 'unknown_account' }, newAccounts: null, read: {} },
    () => undefined,
  );
  assert.ok(counts.stored >= 1);
  const { rows } = await pool.query(`SELECT 1 FROM calls.cdrs WHERE call_id = 'waits'`);
  assert.equal(rows.length, 1);
});

test('a body that can not be read as a whole is a 400 that says why', async () => {
  const json = { authorization: `Bearer ${ingest}`, 'content-type': 'application/json' };
  const cases: [body: string, words: RegExp][] = [
    ['', /empty/],
    ['[', /no JSON/],
    ['[]', /0 records; a post takes from 1 to 10000/],
    [JSON.stringify(Array.from({ length: 10_001 }, () => 0)), /10001 records; a post takes from 1 to 10000/],
    ['{}', /neither an array of records nor a document/],
    ['"text"', /neither an array/],
    ['null', /neither an array/],
    ['[{"cli":"+493023125001",}]', /no JSON/],
  ];
  for (const [body, words] of cases) {
    const answer = await api.send('POST', '/cdrs', json, body);
    assert.equal(answer.status, 400, body.slice(0, 40));
    assert.match(answer.body.error, words);
    assert.equal(answer.body.code, 'bad_batch');
    assert.doesNotMatch(answer.text, /3023125/, 'a number of the body is repeated');
  }
  const large = await api.send('POST', '/cdrs', json, JSON.stringify([{ a: 'x'.repeat(4_000_001) }]));
  assert.deepEqual([large.status, large.body.code], [413, 'too_large']);
  const html = await api.send('POST', '/cdrs', { ...json, 'content-type': 'text/html' }, '<cdr/>');
  assert.deepEqual([html.status, html.body.code], [415, 'unsupported_media_type']);
  for (const bad of [
    '<cdr/>',
    '<cdr><!DOCTYPE x></cdr>',
    '<cdr><variables>',
    `<cdr>${' '.repeat(1_100_000)}</cdr>`,
  ]) {
    const xml = await api.send('POST', '/cdrs', { ...json, 'content-type': 'text/xml' }, bad);
    assert.deepEqual([xml.status, xml.body.code], [400, 'bad_batch'], bad.slice(0, 40));
  }
  const unknown = await api.post([record()], ingest, '/cdrs?colour=red');
  assert.equal(unknown.status, 400);
  assert.match(unknown.body.error, /Unknown query parameter: `colour`/);
});

test('ten thousand records at once', async () => {
  const records = Array.from({ length: 10_000 }, () => record());
  const { status, body } = await api.post(records, ingest);
  assert.equal(status, 200);
  assert.equal(body.stored, 10_000);
});

test('FreeSWITCH: its document in every encoding, with Basic authentication and its ?uuid=', async () => {
  const basic = `Basic ${Buffer.from(`freeswitch:${ingest}`).toString('base64')}`;
  const UUID = 'c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01';
  const send = async (contentType: string, body: string, query = '') => {
    const headers = {
      authorization: basic,
      'content-type': contentType,
      'user-agent': 'freeswitch-json/1.0',
    };
    const answer = await api.send('POST', `/cdrs${query}?uuid=${UUID}`, headers, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.body.data;
  };
  const FORM = 'application/x-www-form-urlencoded';
  const [first] = await send('application/json', DOCUMENT, '?create_accounts=true&source=sbc');
  assert.equal(first.status, 'stored', JSON.stringify(first));
  const encodings: [type: string, body: string][] = [
    [FORM, `cdr=${encodeURIComponent(DOCUMENT)}`],
    ['application/x-www-form-base64-encoded', `cdr=${Buffer.from(DOCUMENT).toString('base64')}`],
    // disable-100-continue=true replaces the content type by curl's own
    [FORM, DOCUMENT],
    ['application/json; charset=utf-8', DOCUMENT],
    // The same call by mod_xml_cdr.
    ['text/xml', XML_DOCUMENT],
    ['application/x-www-form-plaintext', `cdr=${XML_DOCUMENT}`],
    [FORM, `cdr=${encodeURIComponent(XML_DOCUMENT)}`],
    [FORM, `cdr=${XML_DOCUMENT}`],
    ['application/x-www-form-base64-encoded', `cdr=${Buffer.from(XML_DOCUMENT).toString('base64')}`],
  ];
  for (const [type, body] of encodings) {
    const outcomes = await send(type, body, '?source=sbc');
    assert.deepEqual(outcomes, [{ index: 0, status: 'duplicate' }], `${type}: ${body.slice(0, 30)}`);
  }
  const { body } = await api.get(`/cdrs/${first.i_cdr}`, operator);
  assert.deepEqual([body.data.source, body.data.call_id], ['sbc', UUID]);
});

test('FreeSWITCH: a call that can not be taken in is kept, and FreeSWITCH told that it arrived', async () => {
  const document = JSON.parse(DOCUMENT);
  document.variables.uuid = 'another';
  document.variables.accountcode = 'unknown-to-all';
  const { status, body } = await api.post(document, ingest);
  assert.equal(status, 200);
  assert.deepEqual([body.data[0].status, body.data[0].code], ['set_aside', 'unknown_account']);
  const { rows } = await pool.query(
    `SELECT bytes FROM calls.rejected_cdrs WHERE reason LIKE '%unknown-to-all%'`,
  );
  assert.deepEqual(JSON.parse(rows[0].bytes.toString()), document);
});

test('FreeSWITCH: the XML of such a call is kept as it came, and is taken in once its account is there', async () => {
  const document = XML_DOCUMENT.replaceAll('c1e5d0a7-94b2', 'aaaaaaaa-94b2').replace('>acme<', '>later<');
  const headers = { authorization: `Bearer ${ingest}`, 'content-type': 'text/xml' };
  const { body } = await api.send('POST', '/cdrs', headers, document);
  assert.deepEqual([body.data[0].status, body.data[0].code], ['set_aside', 'unknown_account']);
  const { rows } = await pool.query(`SELECT bytes FROM calls.rejected_cdrs WHERE reason LIKE '%"later"%'`);
  assert.equal(rows[0].bytes.toString(), document.trim());
  const newAccounts = { currency: 'EUR', timeZone: 'UTC', country: null };
  const counts = await retryRejected(pool, { filter: {}, newAccounts, read: {} }, () => {});
  assert.ok(counts.stored >= 1);
  const again = await api.send('POST', '/cdrs', headers, document);
  assert.equal(again.body.data[0].status, 'duplicate');
});

test('what is posted is in lists, totals and consumption at once', async () => {
  const iNew = await api.account('instant');
  await api.post(
    Array.from({ length: 3 }, () => record({ account: 'instant', cost: 0.5 })),
    ingest,
  );
  const list = await api.get(`/cdrs?i_account=${iNew}&limit=1`, operator);
  assert.equal(list.body.total, 3);
  const used = await api.get(
    `/consumption?i_account=${iNew}&from=2026-11-01&to=2026-12-01&granularity=total`,
    operator,
  );
  assert.deepEqual(used.body.totals, {
    calls: 3,
    answered: 3,
    seconds: 195,
    billed_seconds: 180,
    cost: [{ currency: 'EUR', amount: '1.5' }],
  });
});

test('what is nested too deep is refused: a record by itself, a document as a whole', async () => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const send = (body: string) =>
    api.send(
      'POST',
      '/cdrs',
      { authorization: `Bearer ${ingest}`, 'content-type': 'application/json' },
      body,
    );
  const record1 = JSON.stringify(record());
  const record2 = JSON.stringify(record({ attributes: { a: 'DEEP' } })).replace('"DEEP"', deep);
  const array = await send(`[${record1},${record2},${deep}]`);
  assert.equal(array.status, 200);
  assert.deepEqual(statuses(array.body), ['stored', 'set_aside', 'set_aside']);
  assert.deepEqual([array.body.data[1].code, array.body.data[2].code], ['too_large', 'too_large']);
  const document = await send(`{"variables":{"uuid":"x"},"callflow":${deep}}`);
  assert.deepEqual([document.status, document.body.code], [400, 'bad_batch']);
});

test('a cost is kept to its last digit; one that is too long is set aside with what it is', async () => {
  const costs = ['1e-05', '0.033333333333333333', '1e-13', '"1.2E-05"', '"\u22120.0"'];
  const post = async (cost: string) =>
    (
      await api.send(
        ...(['POST', '/cdrs'] as const),
        { authorization: `Bearer ${ingest}`, 'content-type': 'application/json' },
        JSON.stringify([record({ cost: 'COST' })]).replace('"COST"', cost),
      )
    ).body.data[0];
  const stored = await Promise.all(costs.map(post));
  const { rows } = await api.database.pool.query(
    'SELECT cost::text AS cost FROM calls.cdrs WHERE i_cdr = ANY($1) ORDER BY array_position($1, i_cdr)',
    [stored.map((outcome) => outcome.i_cdr)],
  );
  assert.deepEqual(
    rows.map((row) => row.cost),
    ['0.00001', '0.033333333333333333', '0.0000000000001', '0.000012', '0.0'],
  );
  for (const cost of ['1e300', `"${'1'.repeat(41)}"`, '1e-41']) {
    const refused = await post(cost);
    assert.equal(refused.status, 'set_aside', cost);
    assert.match(refused.error, /^cost is 1.*; it must be a decimal of at most 40 digits/);
  }
});
