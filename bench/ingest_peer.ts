/** The peer of bench/ingest.ts: Fastify and pg, one INSERT a request, no usage, no de-duplication. Prints its port. */
import { fastify } from 'fastify';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.argv[2], max: 10 });
await pool.query(`CREATE TABLE IF NOT EXISTS posted (uuid text PRIMARY KEY, account text, cli text, cld text,
  start_time timestamptz, duration_s integer, billed_duration_s integer, cause text)`);
const server = fastify();
server.post('/cdrs', async (request) => {
  const { variables: v } = request.body as { variables: Record<string, string> };
  await pool.query('INSERT INTO posted VALUES ($1, $2, $3, $4, to_timestamp($5), $6, $7, $8)', [
    ...[v.uuid, v.accountcode, v.caller_id_number, v.destination_number, v.start_epoch],
    ...[v.duration, v.billsec, v.hangup_cause],
  ]);
  return { success: true };
});
await server.listen({ port: 0, host: '127.0.0.1' });
const address = server.server.address();
process.stdout.write(`${typeof address === 'object' && address?.port}\n`);
