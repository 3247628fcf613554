/**
 * A page of calls by HTTP, in several ways: Fastify before the same SQL, one process. Started by bench/page.ts:
 *
 *   node bench/page_server.ts <way> <database url> <RowQuery as JSON>      prints its port; the parameter $1 is ?i_account=
 */
import fastify, { type FastifyReply } from 'fastify';
import pg from 'pg';
import postgres from 'postgres';
import { hashKey } from '#platform/access/key.ts';
import { jsonQuery, type RowQuery } from '#platform/database/fast_read/fast_read.ts';
import { createPool, withSession } from '#platform/database/pool.ts';
import { typeParsers } from '#platform/database/types.ts';
import { SECONDS_COLUMNS } from '#services/calls/call_fields.ts';
import { POSITION_COLUMNS } from '#services/calls/store/calls.ts';
import { DATABASE_CONNECTIONS, LIMIT, type Peer } from './page_ways.ts';

/** For postgres.js: without it, it makes a Date of each and is slower. */
const TIMES_AS_TEXT = {
  to: 1184,
  from: [1082, 1114, 1184],
  serialize: (text: string) => text,
  parse: (text: string) => text,
};

const [way, url, query] = process.argv.slice(2) as [Peer, string, string];
const { sql, formats } = JSON.parse(query) as RowQuery;
const page = pageOf(way);
const app = fastify();
app.get('/cdrs', async (request, reply) => {
  const began = performance.now();
  const { i_account: iAccount } = request.query as { i_account: string };
  const duration = () => Math.round(performance.now() - began);
  reply.type('application/json; charset=utf-8');
  return page(Number(iAccount), duration, reply, request.headers.authorization);
});
process.stdout.write(`${new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port}\n`);

type Page = (
  iAccount: number,
  duration: () => number,
  reply: FastifyReply,
  authorization: string | undefined,
) => Promise<Buffer | string>;

function pageOf(way: Peer): Page {
  const asJson = (rows: readonly object[], duration: () => number) =>
    JSON.stringify({ success: true, data: rows.slice(0, LIMIT), duration_ms: duration() });
  switch (way) {
    case 'bytes':
    case 'bytes-named': {
      const prepared = way === 'bytes-named';
      const pool = createPool({ url, applicationName: way, size: DATABASE_CONNECTIONS, onIdleError: fail });
      const before = '{"success":true,"data":';
      return async (iAccount, duration, reply) => {
        const decoded = jsonQuery(
          { sql, parameters: [iAccount], formats, prepared },
          { limit: LIMIT, keep: POSITION_COLUMNS, numbers: SECONDS_COLUMNS, before },
        );
        const [answer] = await withSession(pool, (session) => session.pipeline(decoded));
        answer.append(`,"duration_ms":${duration()}}`);
        reply.raw.once('finish', answer.free);
        return answer.bytes;
      };
    }
    case 'pg':
    case 'pg-text': {
      const types = way === 'pg-text' ? { types: typeParsers } : {};
      const pool = new pg.Pool({ connectionString: url, max: DATABASE_CONNECTIONS, ...types });
      pool.on('error', fail);
      return async (iAccount, duration) => asJson((await pool.query(sql, [iAccount])).rows, duration);
    }
    case 'pg-whole': {
      const pool = new pg.Pool({ connectionString: url, max: DATABASE_CONNECTIONS });
      pool.on('error', fail);
      return async (iAccount, duration, _reply, authorization = '') => {
        const ask = async (text: string, value: unknown) => (await pool.query(text, [value])).rows;
        const hash = hashKey(authorization.replace('Bearer ', ''));
        const [key] = await ask(
          'SELECT * FROM identity.api_keys WHERE hash = $1 AND revoked_at IS NULL',
          hash,
        );
        const [account] = await ask('SELECT * FROM calls.accounts WHERE i_account = $1', iAccount);
        if (!key || !account) throw new Error('nobody may see this');
        const rows = await ask(sql, iAccount);
        const [{ total }] = await ask(
          'SELECT count(*)::int AS total FROM calls.cdrs WHERE i_account = $1',
          iAccount,
        );
        const data = rows.slice(0, LIMIT);
        const { start_time, i_cdr } = data.at(-1);
        const next_cursor = Buffer.from(JSON.stringify([start_time, i_cdr])).toString('base64url');
        return JSON.stringify({ success: true, data, total, next_cursor, duration_ms: duration() });
      };
    }
    case 'postgres.js':
    case 'postgres.js-named': {
      const prepare = way === 'postgres.js-named';
      const client = postgres(url, { max: DATABASE_CONNECTIONS, prepare, types: { date: TIMES_AS_TEXT } });
      return async (iAccount, duration) =>
        asJson(await client.unsafe(sql, [iAccount], { prepare }), duration);
    }
  }
}

function fail(error: unknown): never {
  throw error;
}
