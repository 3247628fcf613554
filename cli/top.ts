/** `trunkline top`: the dashboard in the terminal, live. */
import { Command } from 'commander';
import { readConfig } from '#config';
import type { MonitoringReport } from '#platform/database/monitoring.ts';
import { renderDashboard } from './dashboard.ts';
import { explainFailure } from './failure.ts';
import { print, printJson } from './print.ts';

const RETRY_MS = 1_000;
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_LINE_END = '\x1b[K';
const KEYS_THAT_QUIT = ['q', 'Q', '\x03', '\x1b'];
const STANDARD_SCREEN = { columns: 80, rows: 40 };

interface Options {
  readonly url?: string;
  readonly key?: string;
  readonly once?: true;
  readonly json?: true;
}

export function topCommand(): Command {
  return new Command('top')
    .description('the dashboard of a running service, live; q quits')
    .option('--url <url>', 'the service (default: http://127.0.0.1:CALLS_PORT)')
    .option('--key <key>', 'a key of scope operator (default: TRUNKLINE_KEY in the environment)')
    .option('--once', 'draw it once and end')
    .option('--json', 'the figures as JSON, once')
    .addHelpText('after', '\nExample:\n  TRUNKLINE_KEY=tl_… trunkline top --once')
    .action(async (options: Options) => {
      const url = options.url ?? `http://127.0.0.1:${readConfig(process.env).CALLS_PORT}`;
      const key = options.key ?? process.env.TRUNKLINE_KEY;
      if (!key)
        throw new Error('top needs a key of scope operator: --key, or TRUNKLINE_KEY in the environment');
      const address = new URL('/monitoring', url).href;
      if (options.json) printJson(await reportOf(address, key));
      else if (options.once || !process.stdout.isTTY) print(drawn(await reportOf(address, key)).join('\n'));
      else await live(address, key);
    });
}

const drawn = (report: MonitoringReport) =>
  renderDashboard(report, {
    columns: process.stdout.columns ?? STANDARD_SCREEN.columns,
    rows: process.stdout.rows ?? STANDARD_SCREEN.rows,
    colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
  });

async function ask(address: string, key: string, accept: string, signal?: AbortSignal): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, accept };
  const answer = await fetch(address, { headers, ...(signal && { signal }) });
  if (answer.ok) return answer;
  const body = (await answer.json().catch(() => ({}))) as { error?: string };
  throw new Error(`${address} answers ${answer.status}: ${body.error ?? answer.statusText}`);
}

async function reportOf(address: string, key: string): Promise<MonitoringReport> {
  const answer = await ask(address, key, 'application/json');
  return ((await answer.json()) as { data: MonitoringReport }).data;
}

/** Draws each report as it comes, until a key quits. A service that goes away is waited for. */
async function live(address: string, key: string): Promise<void> {
  const quit = new AbortController();
  let lines: string[] = [`waiting for ${address}`];
  let last: MonitoringReport | undefined;
  const draw = () =>
    process.stdout.write(HOME + lines.map((line) => `${line}${CLEAR_LINE_END}\n`).join('') + CLEAR_BELOW);
  const redraw = () => {
    if (last) lines = drawn(last);
    draw();
  };
  const onKey = (typed: Buffer) => {
    if (KEYS_THAT_QUIT.includes(typed.toString())) quit.abort();
  };
  process.stdout.write(ENTER);
  process.stdin.setRawMode?.(true).on('data', onKey);
  process.stdout.on('resize', redraw);
  try {
    while (!quit.signal.aborted) {
      try {
        for await (const report of reports(address, key, quit.signal)) {
          last = report;
          redraw();
        }
      } catch (error) {
        if (quit.signal.aborted) break;
        lines = [...(last ? drawn(last) : []), explainFailure(error)];
        draw();
      }
      await new Promise((retry) => setTimeout(retry, RETRY_MS));
    }
  } finally {
    process.stdout.off('resize', redraw);
    process.stdin.setRawMode?.(false).off('data', onKey).pause();
    process.stdout.write(LEAVE);
  }
}

/** The service's server-sent events. */
async function* reports(address: string, key: string, signal: AbortSignal): AsyncGenerator<MonitoringReport> {
  const answer = await ask(address, key, 'text/event-stream', signal);
  let text = '';
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = text
        .slice(0, end)
        .split('\n')
        .filter((line) => line.startsWith('data:'));
      text = text.slice(end + 2);
      if (data.length > 0) yield JSON.parse(data.map((line) => line.slice(5)).join('\n')) as MonitoringReport;
    }
  }
}
