/** Asks the running monitor, as `trunkline status` and `trunkline alerts` do. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { readConfig } from '#config';
import { keyFile } from '#services/monitor/auth.ts';
import { monitorFolder } from '#system';

export interface MonitorOptions {
  readonly url?: string;
  readonly key?: string;
}

/** Adds the options that say which monitor is asked. */
export const withMonitor = (command: Command): Command =>
  command
    .option('--url <url>', 'the monitor (default: http://127.0.0.1:MONITOR_PORT)')
    .option('--key <key>', 'its key (default: MONITOR_KEY, or the one in DATA_DIR/monitor)');

/** The `data` of its answer. @throws Error with the words of a refusal, or why there is no key */
export async function askMonitor(
  method: 'GET' | 'POST',
  path: string,
  options: MonitorOptions,
): Promise<unknown> {
  const config = readConfig(process.env);
  const url = new URL(path, options.url ?? `http://127.0.0.1:${config.MONITOR_PORT}`).href;
  const key = options.key ?? config.MONITOR_KEY ?? (await keptKey(keyFile(monitorFolder(config))));
  const answer = await fetch(url, { method, headers: { authorization: `Bearer ${key}` } });
  const body = (await answer.json()) as { data?: unknown; error?: string };
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${body.error ?? answer.statusText}`);
  return body.data;
}

async function keptKey(path: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw new Error(`no key of the monitor: give --key, set MONITOR_KEY, or be able to read ${path}`, {
      cause,
    });
  }
}
