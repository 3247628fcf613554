/**
 * What most services are: Fastify before node-postgres with its pool, no more. Started by bench/overload.ts:
 *
 *   node bench/overload_peer.ts <database url> <connections>      prints its URL
 *
 * It asks PostgreSQL what the calls service asks for a page.
 */
import fastify from 'fastify';
import pg from 'pg';
import { typeParsers } from '#platform/database/types.ts';
import { visibleAccount } from '#services/calls/store/accounts.ts';
import { pageOfCalls } from '#services/calls/store/calls.ts';

const [url, connections] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: Number(connections), types: typeParsers });
pool.on('error', () => undefined);
const app = fastify();
app.get('/cdrs', async (request) => {
  const { i_account: text, limit } = request.query as { i_account: string; limit: string };
  const iAccount = Number(text);
  const account = visibleAccount(iAccount, iAccount);
  const found = await pool.query(account.sql, [...account.parameters]);
  const page = pageOfCalls({ iAccount, type: 'all' }, 'desc', undefined, Number(limit));
  const { rows } = await pool.query(page.sql, [...page.parameters]);
  return { success: true, data: rows, data_complete_to: found.rows[0].data_complete_to };
});
process.stdout.write(`${await app.listen({ port: 0, host: '127.0.0.1' })}\n`);
