/**
 * What the monitor costs: CPU time of its process while it watches 50 parts, as a share of one core; once while all is
 * well, once while half of the bouncers change at each poll. The parts are other processes, so that their cost is not
 * counted: two real HAProxies with 36 servers, and 12 services whose figures are those of a real one.
 *
 *   node bench/monitor.ts                  60 s each at a poll every 10 s, as in production
 *   node bench/monitor.ts --seconds 20 --poll-ms 1000
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { chown, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPrograms } from '#engines/cluster/programs.ts';
import { freePort } from '#engines/postgres.ts';
import { engineUser } from '#engines/processes.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { createLogger } from '#platform/telemetry/logger.ts';
import { createRegistry, DURATION_BUCKETS_S, Histogram } from '#platform/telemetry/metrics.ts';
import { slackChannel } from '#services/monitor/channels/slack.ts';
import { webhookChannel } from '#services/monitor/channels/webhook.ts';
import type { HaproxySource } from '#services/monitor/haproxy_reader.ts';
import { createMonitor } from '#services/monitor/monitor.ts';
import { type AtEnd, runBench, temporaryFolder } from './ending.ts';
import { benchOptions, finish, type Row } from './report.ts';

/** As in production. */
const STANDARD_POLL_MS = 10_000;
const HAPROXIES = 2;
const BOUNCERS = 36;
const SERVICES = 12;
const ROUTES = 20;
const HAPROXY_START_MS = 2_000;
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

interface Ports {
  /** Services, and the bouncers that stay UP. */
  readonly steady: number;
  /** Bouncers that come and go: open or closed at each message. */
  readonly changing: number;
}

/** The other process: services with figures as a real one has them, bouncers' ports, and takers of alerts. */
function serveTargets(): void {
  const registry = createRegistry('calls');
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'of the benchmark',
    labelNames: ['method', 'route', 'status'],
    buckets: DURATION_BUCKETS_S,
    registers: [registry],
  });
  let alerts = 0;
  const server = createServer(async (request, response) => {
    if (request.url === '/metrics') {
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
  const bouncers = createTcpServer((socket) => socket.on('error', () => undefined).end());
  server.listen(0, '127.0.0.1', () => {
    bouncers.listen(0, '127.0.0.1', () => {
      const [steady, changing] = [server, bouncers].map((one) => (one.address() as AddressInfo).port);
      process.send?.({ steady, changing });
      process.on('message', () => {
        if (bouncers.listening) bouncers.close();
        else bouncers.listen(changing, '127.0.0.1');
      });
    });
  });
  process.on('disconnect', () => process.exit(0));
}

interface Door {
  readonly source: HaproxySource;
  readonly child: ChildProcess;
}

/** A HAProxy, every second of whose servers is checked at the port that changes. */
async function startHaproxy(folder: string, name: string, { steady, changing }: Ports): Promise<Door> {
  const user = engineUser();
  const statsPort = await freePort();
  const socket = join(folder, `${name}.sock`);
  const file = join(folder, `${name}.cfg`);
  const servers = Array.from({ length: BOUNCERS }, (_, n) => {
    return `  server pgb${n + 1} 127.0.0.1:${n % 2 === 0 ? steady : changing} check inter 500ms fall 1 rise 1`;
  });
  await writeFile(
    file,
    `global
  stats socket ${socket} mode 600 level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 1m
  timeout server 1m
frontend statistics
  bind 127.0.0.1:${statsPort}
  mode http
  stats enable
  stats uri /stats
backend bouncers
${servers.join('\n')}
`,
  );
  if (user) for (const path of [folder, file]) await chown(path, user.uid, user.gid);
  const child = spawn(findPrograms().haproxy, ['-db', '-q', '-f', file], {
    stdio: 'ignore',
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  return { source: { name, pageUrl: `http://127.0.0.1:${statsPort}/stats`, socket }, child };
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
  const ports = await new Promise<Ports>((resolve) =>
    targets.once('message', (said) => resolve(said as Ports)),
  );
  const root = `http://127.0.0.1:${ports.steady}`;
  const names = Array.from({ length: HAPROXIES }, (_, n) => `haproxy${n + 1}`);
  const doors = await Promise.all(names.map((name) => startHaproxy(folder, name, ports)));
  for (const { child } of doors) atEnd(() => child.kill('SIGKILL'));
  await sleep(HAPROXY_START_MS);
  const from = 'info' as const;
  const runbookUrl = undefined;
  const monitor = await createMonitor({
    haproxies: doors.map(({ source }) => source),
    services: Array.from({ length: SERVICES }, (_, n) => ({ name: `service${n + 1}`, url: root })),
    doors: [],
    bouncers: [],
    disks: [],
    askDoor: () => Promise.reject(new Error('there is no door')),
    channels: [
      slackChannel({ webhookUrl: `${root}/alerts`, from, runbookUrl }),
      webhookChannel({ url: `${root}/alerts`, secret: SECRET, from, runbookUrl, clock: systemClock }),
    ],
    // A folder of its own: HAProxy's user owns the other one.
    stateFile: join(folder, 'state', 'state.json'),
    pollIntervalMs: pollMs,
    heartbeat: false,
    clock: systemClock,
    random: Math.random,
    logger: createLogger('monitor', 'silent'),
  });
  // The first polls also compile the code.
  await monitor.poll();
  await monitor.poll();
  const parts = monitor.topology.parts.filter(({ role, state }) => role !== 'monitor' && state === 'UP');
  if (parts.length !== HAPROXIES + BOUNCERS + SERVICES) throw new Error(`${parts.length} parts are UP`);
  const sentSoFar = async () => Number((await fetch(`${root}/count`)).headers.get('x-alerts'));

  async function phase(what: string, eachPoll: () => void): Promise<Row> {
    const sentBefore = await sentSoFar();
    const stopping = new AbortController();
    const changing = setInterval(eachPoll, pollMs);
    const before = process.cpuUsage();
    const begun = performance.now();
    const running = monitor.run(stopping.signal);
    await sleep(seconds * 1_000);
    const used = process.cpuUsage(before);
    const wallMs = performance.now() - begun;
    clearInterval(changing);
    stopping.abort();
    await running;
    const cpuMs = (used.user + used.system) / 1_000;
    const polls = Math.floor(wallMs / pollMs) + 1;
    return [
      what,
      polls,
      (await sentSoFar()) - sentBefore,
      `${(cpuMs / polls).toFixed(1)} ms`,
      `${cpuMs.toFixed(0)} ms of ${(wallMs / 1_000).toFixed(0)} s`,
      `${((100 * cpuMs) / wallMs).toFixed(2)} %`,
    ];
  }

  const rows = [
    await phase('all is well', () => undefined),
    await phase(`${BOUNCERS / 2} bouncers change at each poll`, () => targets.send('change')),
  ];
  const every = `a poll every ${pollMs / 1_000} s`;
  const head: Row = ['', 'polls', 'messages sent', 'CPU a poll', 'CPU in all', 'share of one core'];
  const headlines = rows.map((row) => ({
    figure: `watching ${parts.length} parts, ${every}: ${row[0]}`,
    value: `${row[3]} of CPU a poll`,
    ratio: `${row[5]} of one core`,
    // Of the standard interval; at a shorter one there is more to do.
    ...(pollMs === STANDARD_POLL_MS && { expected: '< 1 %' }),
  }));
  finish(options, `${parts.length} parts, ${every}`, [head, ...rows], headlines);
}

await (process.env.MONITOR_BENCH_TARGETS ? serveTargets() : runBench(measure));
