/** Runs `trunkline` as a process of its own, the way a person or a script does. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
}

export interface StartedCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output or error has held `text`; rejects when the command ends without it. */
  said(text: string | RegExp): Promise<string>;
}

/**
 * What of the environment a command gets. No DATABASE_URL of the developer's reaches it; with REDIS_URL and RABBITMQ_URL all tests of
 * commands run on these engines.
 */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE', 'REDIS_URL', 'RABBITMQ_URL'] as const;

function environment(extra: Record<string, string>): NodeJS.ProcessEnv {
  const inherited = Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));
  // Keys of different databases have the same numbers: in a Redis that all tests share, each command counts for itself.
  const prefix = inherited.REDIS_URL && { REDIS_PREFIX: `test-${randomBytes(8).toString('hex')}` };
  return { ...inherited, ...prefix, ...extra };
}

/** @param main the main.ts of the program, where it is not the one that is tested */
export function startCommand(
  args: readonly string[],
  env: Record<string, string>,
  input?: Buffer | string,
  main = MAIN,
): StartedCommand {
  const child = spawn(process.execPath, [main, ...args], {
    env: environment(env),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  const watchers = new Set<() => void>();
  const heard = () => {
    for (const watch of watchers) watch();
  };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
    heard();
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
    heard();
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = new Promise<Ended>((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, out, err }));
  });
  return {
    child,
    ended,
    said: (text) =>
      new Promise((resolve, reject) => {
        const watch = () => {
          const found = `${out}\n${err}`.match(text);
          if (!found) return;
          watchers.delete(watch);
          resolve(found[0]);
        };
        watchers.add(watch);
        ended.then((how) => {
          watch();
          reject(
            new Error(`ended (${how.code ?? how.signal}) without saying ${text}:\n${how.out}\n${how.err}`),
          );
        });
        watch();
      }),
  };
}

/** Runs it to its end. */
export function runCommand(
  args: readonly string[],
  env: Record<string, string>,
  input?: Buffer | string,
): Promise<Ended> {
  return startCommand(args, env, input).ended;
}
