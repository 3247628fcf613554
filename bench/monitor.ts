/**
 * What the monitor costs: CPU time of its process while it watches 50 parts, most of them changing at every poll, as a
 * share of one core. The parts are pages of another process, so that their cost is not counted.
 *
 *   node bench/monitor.ts                  60 s at a poll every 10 s, as in production
 *   node bench/monitor.ts --seconds 20 --poll-ms 1000
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { createRegistry, DURATION_BUCKETS_S, Histogram } from '#platform/telemetry/metrics.ts';
import { slackChannel } from '#services/monitor/channels/slack.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import { createMonitor } from '#services/monitor/monitor.ts';
import { type AtEnd, runBench, temporaryFolder } from './ending.ts';
import { benchOptions, finish } from './report.ts';

/** As in production. */
const STANDARD_POLL_MS = 10_000;
const HAPROXIES = 2;
const BOUNCERS = 36;
const SERVICES = 12;
const ROUTES = 20;
const COLUMNS =
  'pxname,svname,scur,slim,stot,rate,econ,eresp,wretr,wredis,status,chkdown,lastchg,downtime,check_status';
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

/** The other process: statistics pages, services with figures as a real one has them, and takers of alerts. */
async function serveTargets(): Promise<void> {
  const registry = createRegistry('calls');
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'of the benchmark',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_S,
    registers: [registry],
  });
  let asked = 0;
  let alerts = 0;
  const server = createServer(async (request, response) => {
    if (request.url?.startsWith('/stats')) {
      asked++;
      const rows = Array.from({ length: BOUNCERS }, (_, n) => {
        const isDown = (Math.floor((asked - 1) / HAPROXIES) + n) % 2 === 0;
        return `bouncers,pgb${n + 1},5,,${asked},1,0,0,0,0,${isDown ? 'DOWN' : 'UP'},${asked},3,${asked},L7OK,`;
      });
      response.end(
        `# ${COLUMNS},\nwrites,FRONTEND,5,9000,${asked},1,0,0,0,0,OPEN,0,0,0,,\n${rows.join('\n')}\n`,
      );
    } else if (request.url === '/metrics') {
      for (let route = 0; route < ROUTES; route++) {
        duration.observe({ method: 'GET', route: `/route${route}`, status: 200 }, 0.01);
      }
      response.end(await registry.metrics());
    } else {
      if (request.url === '/alerts') alerts++;
      response.setHeader('x-alerts', alerts);
      response.end('ok');
    }
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit(0));
}

async function measure(atEnd: AtEnd): Promise<void> {
  const options = benchOptions('monitor', 'what watching 50 parts costs', {
    seconds: '60',
    'poll-ms': String(STANDARD_POLL_MS),
  });
  const [seconds, pollMs] = [Number(options.values.seconds), Number(options.values['poll-ms'])];
  const folder = await temporaryFolder(atEnd);
  const targets = fork(import.meta.filename, { env: { ...process.env, MONITOR_BENCH_TARGETS: '1' } });
  atEnd(() => targets.connected && targets.disconnect());
  const port = await new Promise<number>((resolve) =>
    targets.once('message', (said) => resolve(said as number)),
  );
  const root = `http://127.0.0.1:${port}`;
  const from = 'info' as const;
  const monitor = await createMonitor({
    haproxies: Array.from({ length: HAPROXIES }, (_, n) => {
      return { name: `haproxy${n + 1}`, pageUrl: `${root}/stats`, socket: undefined };
    }),
    services: Array.from({ length: SERVICES }, (_, n) => ({ name: `service${n + 1}`, url: root })),
    channels: [
      slackChannel({ webhookUrl: `${root}/alerts`, from, runbookUrl: undefined }),
      webhookChannel({
        url: `${root}/alerts`,
        secret: SECRET,
        from,
        runbookUrl: undefined,
        clock: systemClock,
      }),
    ],
    stateFile: join(folder, 'state.json'),
    pollIntervalMs: pollMs,
    heartbeat: false,
    clock: systemClock,
    random: Math.random,
    logger: createLogger('monitor', 'silent'),
  });
  const stopping = new AbortController();
  // The first polls also compile the code.
  await monitor.poll();
  await monitor.poll();
  const before = process.cpuUsage();
  const begun = performance.now();
  const running = monitor.run(stopping.signal);
  await sleep(seconds * 1_000);
  const used = process.cpuUsage(before);
  const wallMs = performance.now() - begun;
  stopping.abort();
  await running;
  const sent = Number((await fetch(`${root}/count`)).headers.get('x-alerts'));
  const cpuMs = (used.user + used.system) / 1_000;
  const polls = Math.floor(wallMs / pollMs) + 1;
  const parts = monitor.topology.parts.length - 1;
  const share = `${((100 * cpuMs) / wallMs).toFixed(2)} %`;
  const rows = [
    ['polls', 'messages sent', 'CPU a poll', 'CPU in all', 'share of one core'],
    [
      polls,
      sent,
      `${(cpuMs / polls).toFixed(1)} ms`,
      `${cpuMs.toFixed(0)} ms of ${(wallMs / 1_000).toFixed(0)} s`,
      share,
    ],
  ];
  const every = `a poll every ${pollMs / 1_000} s`;
  finish(options, `${parts} parts, ${every}`, rows, [
    {
      figure: `watching ${parts} parts, ${every}`,
      value: `${(cpuMs / polls).toFixed(1)} ms of CPU a poll`,
      ratio: `${share} of one core`,
      // Of the standard interval; at a shorter one there is more to do.
      ...(pollMs === STANDARD_POLL_MS && { expected: '< 1 %' }),
    },
  ]);
}

await (process.env.MONITOR_BENCH_TARGETS ? serveTargets() : runBench(measure));
