/**
 * The services on a tier during a drill: `trunkline serve calls` and `trunkline serve monitor`, each a process of its own
 * as in production, and receivers of the monitor's notices. They end with the drill, also when the drill is killed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { slackReceiver, WEBHOOK_SECRET, webhookReceiver } from '#engines/alert_receivers.ts';
import { freePort } from '#engines/postgres.ts';
import { run } from '#engines/processes.ts';
import { askOutside } from '#platform/http/outside.ts';
import { waitFor } from '../readiness.ts';
import type { Tier } from '../tier.ts';
import { DRILL_ACCOUNT, type ServiceAddress } from './callers.ts';
import { onLeader } from './load.ts';
import { type Told, toldBySlack, toldByWebhook } from './telling.ts';

const READY_LIMIT_MS = 60_000;
/** SlowAnswers and ErrorRate look back over two minutes. */
const QUIET_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 10_000;
const ANSWER_LIMIT_MS = 5_000;
const ANSWER_LIMIT_BYTES = 4 * 1024 * 1024;

export interface Alert {
  readonly rule: string;
  readonly state: string;
  readonly message: string;
  /** RFC 3339. */
  readonly since: string;
}

export interface DrillServices {
  readonly api: ServiceAddress;
  /** Notices received since `from`, by performance.now(), with times from then on. */
  told(from: number): Told[];
  /** Messages that the receivers rejected. */
  rejected(): string[];
  /** The alerts of `trunkline alerts list`. */
  alerts(): Promise<Alert[]>;
  /** Restarts the monitor without its memory: faults that follow each other so closely would count as flapping. */
  forget(): Promise<void>;
  /** Resolves once no reported alert holds and no notice waits to be sent. @throws Error with those that do */
  quiet(signal?: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Brings the tier's database up to date and starts the services.
 * @param program the command that runs `trunkline`: a program and its first arguments
 * @param folder keeps the monitor's state and both logs
 * @throws Error when the tier holds calls that no drill posted, or a service does not get ready
 */
export async function startDrillServices(
  tier: Tier,
  program: readonly [string, ...string[]],
  folder: string,
): Promise<DrillServices> {
  await refuseOthersCalls(tier);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // The folder is that of an installation with this tier in it: the monitor finds all parts as in any installation.
  await rm(join(folder, 'cluster'), { force: true });
  await symlink(tier.layout.folders.data, join(folder, 'cluster'));
  const [slack, hook] = await Promise.all([slackReceiver(), webhookReceiver()]);
  const [callsPort, monitorPort] = [await freePort(), await freePort()];
  const monitorKey = randomBytes(24).toString('hex');
  const environment = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    DATA_DIR: folder,
    LOG_LEVEL: 'warn',
    DATABASE_URL: tier.writeUrl,
    DATABASE_REPLICA_URL: tier.readUrl,
    CALLS_PORT: String(callsPort),
    RATE_LIMIT_PER_MINUTE: '10000000',
    MONITOR_PORT: String(monitorPort),
    // No other service runs in a drill.
    MONITOR_SERVICES: `calls=http://127.0.0.1:${callsPort}`,
    MONITOR_KEY: monitorKey,
    SLACK_WEBHOOK_URL: slack.url,
    ALERT_WEBHOOK_URL: hook.url,
    ALERT_WEBHOOK_SECRET: WEBHOOK_SECRET,
    // A child that knows its parent ends with the parent, however the parent ends.
    TRUNKLINE_LAUNCHER: String(process.pid),
  };
  const [command, ...first] = program;
  const { TRUNKLINE_LAUNCHER: _, ...once } = environment;
  const trunkline = (...words: string[]) => run(command, [...first, ...words], { env: once });
  await trunkline('migrate');
  const created = await trunkline(
    ...['keys', 'create', '--scope', 'operator', '--name', 'drill', '--expires', '1d', '--json'],
  );
  const account = await accountOf(trunkline);
  const { key, i_key: keyNumber } = JSON.parse(created.stdout) as { key: string; i_key: number };

  const serve = (module: string): ChildProcess => {
    const log = openSync(join(folder, `${module}.log`), 'a', 0o600);
    const stdio = ['ignore', log, log] as const;
    const child = spawn(command, [...first, 'serve', module], { env: environment, stdio: [...stdio] });
    closeSync(log);
    return child;
  };
  const calls = serve('calls');
  let monitor = serve('monitor');
  const api = { url: `http://127.0.0.1:${callsPort}`, key, account };
  const monitorUrl = `http://127.0.0.1:${monitorPort}`;

  async function stop(): Promise<void> {
    await Promise.all([calls, monitor].map(endChild));
    await Promise.all([slack.stop(), hook.stop()]);
    await trunkline('keys', 'revoke', String(keyNumber)).catch(() => undefined);
  }

  async function book(): Promise<{ active: Alert[]; history: Alert[]; undelivered: { message: string }[] }> {
    return JSON.parse(await get(`${monitorUrl}/alerts`, monitorKey)).data;
  }

  try {
    for (const url of [api.url, monitorUrl]) {
      await waitFor(READY_LIMIT_MS, async () => void (await get(`${url}/health/ready`)));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    api,
    told: (from) =>
      [
        ...hook.taken.map((message, i) => toldByWebhook(message, Math.round(hook.takenAt[i]! - from))),
        ...slack.taken.map((message, i) => toldBySlack(message, Math.round(slack.takenAt[i]! - from))),
      ]
        .filter(({ afterMs }) => afterMs >= 0)
        .toSorted((a, b) => a.afterMs - b.afterMs),
    rejected: () => [...hook.rejected, ...slack.rejected],
    forget: async () => {
      await endChild(monitor);
      await rm(join(folder, 'monitor', 'state.json'), { force: true });
      monitor = serve('monitor');
      await waitFor(READY_LIMIT_MS, async () => void (await get(`${monitorUrl}/health/ready`)));
    },
    alerts: async () => {
      const { active, history } = await book();
      return [...active, ...history];
    },
    quiet: (signal) =>
      waitFor(
        QUIET_LIMIT_MS,
        async () => {
          const { active, undelivered } = await book();
          // An alert that has not lasted for its rule's time was not reported: it may take minutes to be forgotten.
          const holding = active.filter(({ state }) => state === 'firing');
          const left = [...holding, ...undelivered].map(({ message }) => message);
          return left.length === 0 ? undefined : `still reported or to be reported: ${left.join(', ')}`;
        },
        signal,
      ),
    stop,
  };
}

/** The calls that drills post stay, so a drill refuses a tier with other calls. */
async function refuseOthersCalls(tier: Tier): Promise<void> {
  const others = await onLeader(tier, async (client) => {
    const there = await client.query<{ there: boolean }>(
      "SELECT to_regclass('calls.accounts') IS NOT NULL AS there",
    );
    if (!there.rows[0]!.there) return 0;
    const found = await client.query('SELECT FROM calls.accounts WHERE code <> $1 LIMIT 1', [DRILL_ACCOUNT]);
    return found.rows.length;
  });
  if (others > 0)
    throw new Error(
      'this tier holds customers: these drills post calls that stay, so use a separate tier (trunkline cluster up --detach --data FOLDER --port-base 21000, then --data FOLDER here)',
    );
}

/** The number of the drills' account, which is made the first time. */
async function accountOf(trunkline: (...words: string[]) => Promise<{ stdout: string }>): Promise<number> {
  const made = ['--name', 'Drills', '--currency', 'EUR', '--time-zone', 'UTC', '--json'];
  const { stdout } = await trunkline('accounts', 'show', DRILL_ACCOUNT, '--json').catch(() =>
    trunkline('accounts', 'create', DRILL_ACCOUNT, ...made),
  );
  return (JSON.parse(stdout) as { i_account: number }).i_account;
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const killing = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(killing);
}

async function get(url: string, key?: string): Promise<string> {
  const answer = await askOutside(url, {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    limitMs: ANSWER_LIMIT_MS,
    limitBytes: ANSWER_LIMIT_BYTES,
    longer: 'refuse',
  });
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}`);
  return answer.text;
}
