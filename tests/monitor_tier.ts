/**
 * A small tier for tests of the monitor: a real HAProxy before three real PgBouncers, checked as in
 * infrastructure/haproxy/haproxy.cfg but more often. No PostgreSQL stands behind: HAProxy's checks end at the bouncers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '#engines/postgres.ts';
import { engineUser } from '#engines/processes.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import type { StatsRow } from '#services/monitor/haproxy_csv.ts';
import { type HaproxySource, readHaproxy } from '#services/monitor/haproxy_reader.ts';
import { findPgBouncer } from '#tests/pgbouncer.ts';

export const BOUNCER_NAMES = ['pgb1', 'pgb2', 'pgb3'] as const;
export type BouncerName = (typeof BOUNCER_NAMES)[number];

const HAPROXY = '/usr/sbin/haproxy';
const WAIT_LIMIT_MS = 20_000;
const WAIT_POLL_MS = 50;

export interface MonitorTier {
  readonly source: HaproxySource;
  /** Ends a process with SIGKILL. */
  kill(part: BouncerName | 'haproxy'): Promise<void>;
  start(part: BouncerName | 'haproxy'): void;
  /** Gives HAProxy a command of its Runtime API. */
  tell(command: string): Promise<void>;
  /** Waits until HAProxy says so of a server. */
  until(server: BouncerName, is: (row: StatsRow) => boolean): Promise<void>;
  stop(): Promise<void>;
}

/** Waits for a condition; rejects after a generous time, with what was waited for. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = systemClock.monotonic() + WAIT_LIMIT_MS;
  while (!(await holds())) {
    if (systemClock.monotonic() > deadline) throw new Error(`not within ${WAIT_LIMIT_MS} ms: ${what}`);
    await sleep(WAIT_POLL_MS);
  }
}

export async function startMonitorTier(): Promise<MonitorTier> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-monitor-'));
  const user = engineUser();
  const ports = Object.fromEntries(
    await Promise.all([...BOUNCER_NAMES, 'stats', 'writes'].map(async (name) => [name, await freePort()])),
  ) as Record<string, number>;
  const source = {
    name: 'haproxy1',
    pageUrl: `http://127.0.0.1:${ports.stats}/stats`,
    socket: join(folder, 'h.sock'),
  };
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    if (user) await chown(join(folder, name), user.uid, user.gid);
  };
  await write('haproxy.cfg', haproxyConfiguration(source.socket, ports));
  await write('users.txt', '"haproxy_check" "unused"\n');
  for (const name of BOUNCER_NAMES) await write(`${name}.ini`, bouncerConfiguration(folder, ports[name]!));
  if (user) await chown(folder, user.uid, user.gid);

  const running = new Map<string, { child: ChildProcess; ended: Promise<void> }>();
  const start = (part: string) => {
    const [program, args] =
      part === 'haproxy'
        ? [HAPROXY, ['-db', '-q', '-f', join(folder, 'haproxy.cfg')]]
        : [findPgBouncer()!, ['--quiet', join(folder, `${part}.ini`)]];
    const child = spawn(program, args, {
      stdio: 'ignore',
      ...(user && { uid: user.uid, gid: user.gid }),
    });
    running.set(part, { child, ended: new Promise((resolve) => child.once('close', () => resolve())) });
  };
  const kill = async (part: string) => {
    const found = running.get(part);
    if (!found) return;
    running.delete(part);
    found.child.kill('SIGKILL');
    await found.ended;
  };
  const until = (server: string, is: (row: StatsRow) => boolean) =>
    eventually(`${server} as expected`, async () => {
      const { rows } = await readHaproxy(source, systemClock);
      return rows?.some((row) => row.server === server && is(row)) ?? false;
    });
  const tier: MonitorTier = {
    source,
    kill,
    start,
    until,
    tell: (command) =>
      new Promise((resolve, reject) => {
        const socket = connect(source.socket, () => socket.end(`${command}\n`));
        socket
          .resume()
          .once('close', () => resolve())
          .once('error', reject);
      }),
    stop: async () => {
      for (const part of [...running.keys()]) await kill(part);
      await rm(folder, { recursive: true, force: true });
    },
  };
  for (const part of [...BOUNCER_NAMES, 'haproxy']) start(part);
  try {
    for (const name of BOUNCER_NAMES) await until(name, (row) => row.status === 'UP' && row.check === 'L7OK');
  } catch (error) {
    await tier.stop();
    throw error;
  }
  return tier;
}

const haproxyConfiguration = (socket: string, ports: Record<string, number>): string => `global
  maxconn 20
  stats socket ${socket} mode 600 level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 1m
  timeout server 1m
  timeout check 1s
frontend statistics
  bind 127.0.0.1:${ports.stats}
  mode http
  stats enable
  stats uri /stats
frontend writes
  bind 127.0.0.1:${ports.writes}
  default_backend bouncers
backend bouncers
  balance leastconn
  option pgsql-check user haproxy_check
  default-server inter 300ms fastinter 100ms fall 3 rise 2
${BOUNCER_NAMES.map((name) => `  server ${name} 127.0.0.1:${ports[name]} check`).join('\n')}
`;

const bouncerConfiguration = (folder: string, port: number): string => `[databases]
* = host=127.0.0.1 port=1
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users.txt
pool_mode = transaction
`;
