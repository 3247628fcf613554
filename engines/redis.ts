/** Redis of the distribution's package as a child process on 127.0.0.1. It keeps everything in memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pingRedis } from '#platform/cache/redis_connection.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { until } from './cluster/processes.ts';

const SERVER = '/usr/bin/redis-server';
const START_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 5_000;

/** The reason to skip a test without Redis; false where Redis is installed. */
export const noRedis: string | false = await access(SERVER, constants.X_OK).then(
  () => false as const,
  () => 'Redis is not installed (scripts/engines redis)',
);

export interface RedisOptions {
  /** Folder of this engine alone. */
  readonly folder: string;
  readonly port: number;
  readonly password: string;
}

export interface RunningRedis {
  /** In the form of REDIS_URL. */
  readonly url: string;
  /** Starts it again, empty, after a kill. */
  start(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Kills it with kill -9. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** @throws Error with its output, when it does not start */
export async function startRedis({ folder, port, password }: RedisOptions): Promise<RunningRedis> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'redis.conf');
  await writeFile(file, configuration({ folder, port, password }), { mode: 0o600 });
  const url = `redis://:${password}@127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const lives = () => child !== undefined && child.exitCode === null && child.signalCode === null;
  const answers = () =>
    pingRedis(url, systemClock).then(
      () => true,
      () => false,
    );

  const running: RunningRedis = {
    url,
    start: async () => {
      let said = '';
      child = spawn(SERVER, [file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
      for (const stream of [child.stdout!, child.stderr!])
        stream.on('data', (text) => {
          said = (said + String(text)).slice(-8_000);
        });
      const ready = await until(async () => !lives() || (await answers()), START_LIMIT_MS);
      if (!ready || !lives()) throw new Error(`Redis does not start:\n${said}`);
    },
    signal: (name) => {
      if (lives()) child!.kill(name);
    },
    kill: async () => {
      if (!lives()) return;
      const gone = new Promise<void>((done) => child!.once('exit', () => done()));
      child!.kill('SIGKILL');
      await gone;
    },
    stop: async () => {
      running.signal('SIGCONT');
      running.signal('SIGTERM');
      await until(() => !lives(), STOP_LIMIT_MS);
      await running.kill();
    },
  };
  await running.start();
  return running;
}

/** Whatever is in it may be lost: it writes no file, and forgets what was unused for longest when it is full. */
const configuration = ({ folder, port, password }: RedisOptions): string =>
  [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir ${folder}`,
    'save ""',
    'appendonly no',
    'maxmemory 64mb',
    'maxmemory-policy allkeys-lru',
    '',
  ].join('\n');
