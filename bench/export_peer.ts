/**
 * The peer of bench/export.ts: each call made into JavaScript values and printed, batch by batch, by Fastify and pg.
 *
 *   node bench/export_peer.ts <database url>      prints its port; GET /cdrs?i_account=1
 */
import { Readable } from 'node:stream';
import { fastify } from 'fastify';
import { createPool, withSession } from '#platform/database/pool.ts';
import { BATCH_CALLS } from '#services/calls/api/exports/calls_batch.ts';
import { csvLine, PLAIN_CALLS } from '#services/calls/csv/calls_csv.ts';
import { csvHeader } from '#services/calls/csv/csv_form.ts';
import { type KeysetPosition, pageOfCalls } from '#services/calls/store/calls.ts';
import { zoneClock } from '#services/calls/time/zone_clock.ts';

const pool = createPool({
  url: process.argv[2]!,
  applicationName: 'peer',
  size: 10,
  onIdleError: (error) => {
    throw error;
  },
});
const zone = zoneClock('UTC')!;
const server = fastify();
server.get('/cdrs', async (request, reply) => {
  const { i_account: iAccount } = request.query as { i_account: string };
  return reply.type('text/csv; charset=utf-8').send(Readable.from(file(Number(iAccount))));
});
process.stdout.write(`${new URL(await server.listen({ port: 0, host: '127.0.0.1' })).port}\n`);

async function* file(iAccount: number): AsyncGenerator<string> {
  yield csvHeader(PLAIN_CALLS);
  for (let after: KeysetPosition | undefined; ; ) {
    const statement = pageOfCalls({ iAccount, type: 'all' }, 'desc', after, BATCH_CALLS);
    const calls = await withSession(pool, (session) => session.rows(statement));
    yield calls.map((call) => csvLine(call, zone, PLAIN_CALLS)).join('');
    if (calls.length < BATCH_CALLS) return;
    after = calls.at(-1);
  }
}
