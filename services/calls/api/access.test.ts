/** Every scope against every route. A route that is not in the table below fails the first test. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { callRow, testImportSource } from '#tests/calls.ts';
import { type Answer, testApi } from '#tests/calls_api.ts';
import { takeIn } from '../intake/intake.ts';

const api = await testApi();
const iParent = await api.account('parent');
const iChild = await api.account('child', { parent: iParent });
const iGrandchild = await api.account('grandchild', { parent: iChild });
const iOther = await api.account('other');

const importSource = await testImportSource(api.database.pool);
const outcomes = await takeIn(
  api.database.pool,
  importSource,
  ['parent', 'child', 'grandchild', 'other'].map((accountCode) =>
    callRow({
      accountCode,
      cli: '+493023125001',
      cld: '+442079460001',
      description: 'from +493023125001',
      attributes: { clid: '"A" <+493023125001>', dst: '+442079460001' },
    }),
  ),
);
const iCdrOf = new Map(
  [iParent, iChild, iGrandchild, iOther].map((iAccount, index) => {
    const outcome = outcomes[index]!;
    assert.ok(outcome.kind === 'stored');
    return [iAccount, outcome.iCdr];
  }),
);

await api.database.pool.query(
  `INSERT INTO messaging.dead_letters (queue, cause, id, topic, version, priority, attempt, published_at, body)
   VALUES ('q', 'broken', gen_random_uuid(), 'q', 1, 0, 1, now(), '{}')`,
);

const keys = {
  operator: await api.key('operator'),
  /** Of the account in the middle of the tree. */
  customer: await api.key('customer', iChild),
  support: await api.key('support'),
  ingest: await api.key('ingest'),
  none: null,
};
type Who = keyof typeof keys;

interface Row {
  /** As in the OpenAPI document. */
  readonly route: string;
  readonly ask: (key: string | null, iAccount: number) => Promise<Answer>;
  /** For each asker and account: the status that it gets. */
  readonly expect: Record<Who, { parent: number; child: number; grandchild: number; other: number }>;
}

const all = (status: number) => ({ parent: status, child: status, grandchild: status, other: status });
const reading: Row['expect'] = {
  operator: all(200),
  customer: { parent: 404, child: 200, grandchild: 200, other: 404 },
  support: all(200),
  ingest: all(403),
  none: all(401),
};
const writing: Row['expect'] = {
  operator: all(200),
  customer: all(403),
  support: all(403),
  ingest: all(200),
  none: all(401),
};
const operating: Row['expect'] = {
  operator: all(200),
  customer: all(403),
  support: all(403),
  ingest: all(403),
  none: all(401),
};
const open: Row['expect'] = {
  operator: all(200),
  customer: all(200),
  support: all(200),
  ingest: all(200),
  none: all(200),
};

const CODES = new Map([
  [iParent, 'parent'],
  [iChild, 'child'],
  [iGrandchild, 'grandchild'],
  [iOther, 'other'],
]);

const TABLE: Row[] = [
  { route: 'GET /cdrs', ask: (key, i) => api.get(`/cdrs?i_account=${i}`, key), expect: reading },
  { route: 'GET /cdrs/{i_cdr}', ask: (key, i) => api.get(`/cdrs/${iCdrOf.get(i)}`, key), expect: reading },
  {
    route: 'GET /cdrs/{i_cdr}/legs',
    ask: (key, i) => api.get(`/cdrs/${iCdrOf.get(i)}/legs`, key),
    expect: reading,
  },
  {
    route: 'GET /consumption',
    ask: (key, i) => api.get(`/consumption?i_account=${i}`, key),
    expect: reading,
  },
  {
    route: 'GET /accounts',
    ask: (key) => api.get('/accounts', key),
    expect: { ...reading, customer: all(200) },
  },
  {
    route: 'POST /cdrs',
    ask: (key, i) =>
      api.post(
        [
          {
            account: CODES.get(i),
            start_time: '2026-11-01T00:00:00Z',
            cld: '+442079460009',
            duration_s: 1,
            result: 'busy',
          },
        ],
        key,
      ),
    expect: writing,
  },
  { route: 'GET /imports', ask: (key) => api.get('/imports', key), expect: operating },
  { route: 'GET /imports/{i_import}', ask: (key) => api.get('/imports/1', key), expect: operating },
  {
    route: 'POST /imports/{i_import}/undo',
    ask: (key) => api.post({ dry_run: true }, key, '/imports/1/undo'),
    expect: operating,
  },
  { route: 'GET /sources', ask: (key) => api.get('/sources', key), expect: operating },
  { route: 'GET /monitoring', ask: (key) => api.get('/monitoring', key), expect: operating },
  {
    route: 'POST /monitoring/breaker',
    ask: (key) => api.post({ server: 'primary', action: 'release' }, key, '/monitoring/breaker'),
    expect: operating,
  },
  { route: 'GET /queues', ask: (key) => api.get('/queues', key), expect: operating },
  { route: 'GET /queues/{queue}', ask: (key) => api.get('/queues/q', key), expect: operating },
  { route: 'GET /queues/{queue}/dead', ask: (key) => api.get('/queues/q/dead', key), expect: operating },
  {
    route: 'GET /queues/{queue}/dead/{i_dead_letter}',
    ask: (key) => api.get('/queues/q/dead/1', key),
    expect: operating,
  },
  {
    route: 'POST /queues/{queue}/replay',
    ask: (key) => api.post({ limit: 1, dry_run: true }, key, '/queues/q/replay'),
    expect: operating,
  },
  {
    route: 'POST /queues/{queue}/pause',
    ask: (key) => api.post({}, key, '/queues/q/pause'),
    expect: operating,
  },
  {
    route: 'POST /queues/{queue}/resume',
    ask: (key) => api.post({}, key, '/queues/q/resume'),
    expect: operating,
  },
  { route: 'GET /health', ask: (key) => api.get('/health', key), expect: open },
  { route: 'GET /health/live', ask: (key) => api.get('/health/live', key), expect: open },
  { route: 'GET /health/ready', ask: (key) => api.get('/health/ready', key), expect: open },
];

test('every route of the OpenAPI document is in the table, and says what it is and who may use it', async () => {
  const { body } = await api.get('/openapi.json', null);
  const routes: string[] = [];
  for (const [path, methods] of Object.entries<
    Record<string, { summary?: string; tags?: string[]; responses: object; security?: object[] }>
  >(body.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const name = `${method.toUpperCase()} ${path}`;
      routes.push(name);
      assert.ok(route.summary && route.tags?.length && route.security && route.responses, name);
      for (const response of Object.values<{ description?: string }>(route.responses as never)) {
        assert.ok(response.description, name);
      }
    }
  }
  assert.deepEqual(routes.sort(), TABLE.map((row) => row.route).sort());
});

test('docs/SECURITY.md tells of each route the same', () => {
  const told = readFileSync(new URL('../../../docs/SECURITY.md', import.meta.url), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, route, ...cells] = line.split('|').map((cell) => cell.trim());
      return cells.length === 6 && route!.startsWith('`')
        ? [[route!.slice(1, -1), ...cells.slice(0, 5)]]
        : [];
    });
  const rows = TABLE.map(({ route, expect }) => [
    route,
    ...(Object.keys(keys) as Who[]).map((who) => {
      const statuses = new Set(Object.values(expect[who]));
      if (expect === open) return 'open';
      if (!statuses.has(200)) return [...statuses].join();
      if (who === 'customer') return 'own';
      return who === 'support' ? 'masked' : 'all';
    }),
  ]);
  assert.deepEqual(told.sort(), rows.sort());
});

for (const { route, ask, expect } of TABLE) {
  test(`${route}: who gets what`, async () => {
    const accounts = { parent: iParent, child: iChild, grandchild: iGrandchild, other: iOther };
    for (const who of Object.keys(keys) as Who[]) {
      // A route without an account is asked once: an address may send only so many requests without a key.
      for (const [name, iAccount] of Object.entries(accounts).slice(0, ask.length === 1 ? 1 : 4)) {
        const { status, text, body } = await ask(keys[who], iAccount);
        const wanted = expect[who][name as keyof typeof accounts];
        assert.equal(status, wanted, `${who} asks for ${name}: ${text}`);
        assert.equal(body.success, wanted === 200);
      }
    }
  });
}

test("a stranger's account or call looks exactly like one that does not exist", async () => {
  const shape = ({ status, body }: Answer, number: number) => {
    const { request_id: _, error, ...rest } = body;
    return { status, ...rest, error: error.replace(String(number), 'N') };
  };
  const nowhere = 987_654;
  const noCall = iCdrOf.get(iOther)! + 500;
  for (const [path, theirs, none] of [
    ['/cdrs?i_account=', iOther, nowhere],
    ['/consumption?i_account=', iOther, nowhere],
    ['/cdrs/', iCdrOf.get(iOther)!, noCall],
  ] as const) {
    const there = await api.get(path + theirs, keys.customer);
    const absent = await api.get(path + none, keys.customer);
    assert.deepEqual(shape(there, theirs), shape(absent, none), path);
  }
});

test('a customer that names no account means its own', async () => {
  const { body } = await api.get('/cdrs', keys.customer);
  assert.ok(body.data.length > 0);
  for (const call of body.data) assert.equal(call.i_account, iChild);
  assert.equal((await api.get('/consumption', keys.customer)).body.i_account, iChild);
});

test('support sees every number masked, in JSON and CSV, and cannot search by one', async () => {
  const whole = /23125001|79460001/;
  const asked = await Promise.all([
    api.get(`/cdrs?i_account=${iParent}`, keys.support),
    api.get(`/cdrs/${iCdrOf.get(iParent)}`, keys.support),
    api.get(`/cdrs?i_account=${iParent}`, keys.support, { accept: 'text/csv' }),
  ]);
  for (const { status, text } of asked) {
    assert.equal(status, 200);
    assert.match(text, /\+493023\*\*\*\*01/);
    assert.doesNotMatch(text, whole);
  }
  assert.equal(asked[1].body.data.source_key, null);
  for (const filter of ['cli=%2B493023125001', 'cld=%2B44*']) {
    for (const accept of ['application/json', 'text/csv']) {
      const { status, body } = await api.get(`/cdrs?i_account=${iParent}&${filter}`, keys.support, {
        accept,
      });
      assert.deepEqual([status, body.code], [403, 'numbers_masked'], filter);
    }
  }
  const { text } = await api.get(`/cdrs?i_account=${iParent}`, keys.operator);
  assert.match(text, whole);
});

test('an account that moves to another customer is no longer seen by the first', async () => {
  const iMoving = await api.account('moving', { parent: iChild });
  assert.equal((await api.get(`/cdrs?i_account=${iMoving}`, keys.customer)).status, 200);
  await api.database.pool.query('UPDATE calls.accounts SET i_parent = $1 WHERE i_account = $2', [
    iOther,
    iMoving,
  ]);
  assert.equal((await api.get(`/cdrs?i_account=${iMoving}`, keys.customer)).status, 404);
});

test('the page that shows the API, its document and its figures are open', async () => {
  for (const path of ['/docs', '/openapi.json', '/metrics'])
    assert.equal((await api.get(path, null)).status, 200, path);
});

test('no browser of another origin is let in unless its origin is configured', async () => {
  const headers = { origin: 'https://console.example.com', 'access-control-request-method': 'GET' };
  const closed = await api.send('OPTIONS', '/cdrs', headers);
  assert.equal(closed.headers.get('access-control-allow-origin'), null);
  const configured = await testApi(
    { corsOrigins: ['https://console.example.com'] },
    { database: api.database },
  );
  const opened = await configured.send('OPTIONS', '/cdrs', headers);
  assert.equal(opened.headers.get('access-control-allow-origin'), 'https://console.example.com');
  const stranger = await configured.send('OPTIONS', '/cdrs', { ...headers, origin: 'https://evil.example' });
  assert.notEqual(stranger.headers.get('access-control-allow-origin'), 'https://evil.example');
  const answered = await configured.get('/cdrs', keys.customer, { origin: 'https://console.example.com' });
  assert.equal(answered.headers.get('access-control-allow-origin'), 'https://console.example.com');
  const readable = answered.headers.get('access-control-expose-headers')!.split(', ');
  for (const name of ['content-disposition', 'retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining'])
    assert.ok(readable.includes(name), name);
});
