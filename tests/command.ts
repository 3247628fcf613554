/** Runs `trunkline` as a process of its own, the way a person or a script does. */
import { type ChildProcess, spawn } from 'node:child_process';
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

/** What of the developer's environment a command gets. No DATABASE_URL of theirs reaches it. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'NODE_COMPILE_CACHE'] as const;

function environment(extra: Record<string, string>): NodeJS.ProcessEnv {
  return { ...Object.fromEntries(INHERITED.map((name) => [name, process.env[name]])), ...extra };
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
