/** RabbitMQ of a test's own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type RunningRabbitmq, startRabbitmq } from '#engines/rabbitmq.ts';

/** Starts one node or a cluster of three; both end, with what they hold, after the test file. */
export async function testRabbitmq(nodes: 1 | 3): Promise<RunningRabbitmq> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-rabbitmq-'));
  const running = await startRabbitmq({ folder, nodes, portBase: await freePorts(2 * nodes + 1) });
  after(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return running;
}

/** The first of so many ports in a row that are free now. */
async function freePorts(count: number): Promise<number> {
  for (let base = 20_000 + Math.floor(Math.random() * 8_000); ; base += count) {
    const free = await Promise.all(Array.from({ length: count }, (_, index) => isFree(base + index)));
    if (free.every(Boolean)) return base;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
