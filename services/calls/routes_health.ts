/** Whether the service lives and can answer, for orchestrators and people. */
import { Type } from 'typebox';
import type { Pool } from '#platform/database/pool.ts';
import type { Server } from '#platform/http/server.ts';
import type { Clock } from '#platform/lifecycle/clock.ts';
import { failures } from './contract.ts';
import { callsError } from './errors.ts';

/** As the reference's health check. */
export const HEALTH_CHECK_TIMEOUT_MS = 5_000;

const Words = Type.Object({
  success: Type.Literal(true),
  status: Type.String(),
  uptime_s: Type.Optional(Type.Number()),
});

export function healthRoutes(server: Server, pool: Pool, clock: Clock): void {
  const startedAt = clock.monotonic();
  const schema = (summary: string) => ({
    tags: ['health'],
    summary,
    security: [],
    response: { 200: Words, ...failures(503) },
  });
  const requireDatabase = async () => {
    try {
      await withTimeout(pool.query('SELECT 1'));
    } catch (cause) {
      throw callsError('unavailable', { retryAfterS: 2, cause });
    }
  };
  async function withTimeout(work: Promise<unknown>): Promise<void> {
    const limit = new AbortController();
    const late = clock.sleep(HEALTH_CHECK_TIMEOUT_MS, limit.signal).then(() => {
      throw new Error(`no answer within ${HEALTH_CHECK_TIMEOUT_MS} ms`);
    });
    try {
      await Promise.race([work, late]);
    } finally {
      late.catch(() => undefined);
      limit.abort();
    }
  }

  server.get('/health/live', { schema: schema('The process answers') }, async () => ({
    success: true as const,
    status: 'live',
  }));
  server.get('/health/ready', { schema: schema('The database answers too') }, async () => {
    await requireDatabase();
    return { success: true as const, status: 'ready' };
  });
  server.get('/health', { schema: schema('In words') }, async () => {
    await requireDatabase();
    return {
      success: true as const,
      status: 'The calls API is up and its database answers',
      uptime_s: Math.round((clock.monotonic() - startedAt) / 1000),
    };
  });
}
