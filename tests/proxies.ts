/** The proxies of infrastructure/proxy, as they are written there but for ports and certificate, in front of a service. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FOLDER = new URL('../infrastructure/proxy/', import.meta.url);
const START_LIMIT_MS = 15_000;

export const PROXIES = ['nginx', 'caddy', 'haproxy'] as const;
export type ProxyName = (typeof PROXIES)[number];

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The address of the client; 127.0.0.1 unless told. */
  readonly from?: string;
  /** Ends the answer when it gives true. */
  readonly enough?: (text: string) => boolean;
}

export interface RunningProxy {
  /** Where it listens for TLS, on 127.0.0.1. */
  readonly port: number;
  /** Its certificate and key, as one file of PEM each. */
  readonly certificate: { readonly cert: string; readonly key: string };
  ask(path: string, asking?: Asking): Promise<Answer>;
  stop(): Promise<void>;
}

/** What a configuration file becomes for a test, and how its program is checked and started. */
interface Kind {
  readonly file: string;
  readonly render: (
    text: string,
    at: { folder: string; tls: number; plain: number; service: string },
  ) => string;
  readonly check: (file: string) => readonly [program: string, ...words: string[]];
  readonly start: (file: string, folder: string) => readonly [program: string, ...words: string[]];
}

const KINDS: Readonly<Record<ProxyName, Kind>> = {
  nginx: {
    file: 'nginx.conf',
    render: (text, { folder, tls, plain, service }) => `
daemon off;
pid ${folder}/nginx.pid;
error_log stderr;
events {}
http {
access_log off;
${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
${text
  .replaceAll(/listen \[::\]:.*;/g, '')
  .replaceAll('listen 443', `listen 127.0.0.1:${tls}`)
  .replaceAll('listen 80', `listen 127.0.0.1:${plain}`)
  .replaceAll('/etc/ssl/trunkline', folder)
  .replaceAll('127.0.0.1:3006', service)}
}`,
    check: (file) => ['nginx', '-t', '-c', file],
    start: (file, folder) => ['nginx', '-p', folder, '-c', file],
  },
  caddy: {
    file: 'Caddyfile',
    render: (text, { folder, tls, plain, service }) => `{
	admin off
	http_port ${plain}
	storage file_system ${folder}/storage
}
${text
  .replace(
    'calls.example.com {',
    `https://localhost:${tls} {\n\ttls ${folder}/fullchain.pem ${folder}/privkey.pem`,
  )
  .replaceAll('127.0.0.1:3006', service)}`,
    check: (file) => ['caddy', 'validate', '--adapter', 'caddyfile', '--config', file],
    start: (file) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
  },
  haproxy: {
    file: 'haproxy.cfg',
    render: (text, { folder, tls, plain, service }) =>
      text
        .replace('bind :443', `bind 127.0.0.1:${tls}`)
        .replace('bind :80', `bind 127.0.0.1:${plain}`)
        .replaceAll('/etc/ssl/trunkline', folder)
        .replaceAll('127.0.0.1:3006', service),
    check: (file) => ['haproxy', '-c', '-f', file],
    start: (file) => ['haproxy', '-db', '-f', file],
  },
};

/** Whether a program is here: false, or why a test is skipped. */
export const lacks = (program: ProxyName): Promise<string | false> =>
  run(program, [program === 'caddy' ? 'version' : '-v']).then(
    () => false as const,
    () => `${program} is not installed (scripts/engines proxies)`,
  );

/** Checks a proxy's file by the program's own validator and starts it in front of `service`, host and port. */
export async function openProxy(name: ProxyName, service: string): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), `trunkline-${name}-`));
  const kind = KINDS[name];
  await makeCertificate(folder);
  const [tls, plain] = [await freePort(), await freePort()];
  const file = join(folder, kind.file);
  await writeFile(
    file,
    kind.render(await readFile(new URL(kind.file, FOLDER), 'utf8'), { folder, tls, plain, service }),
  );
  const environment = { ...process.env, HOME: folder };
  const [checker, ...words] = kind.check(file);
  await run(checker, words, { env: environment });
  const [program, ...arguments_] = kind.start(file, folder);
  const child = spawn(program, arguments_, { env: environment, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (text) => {
    said = (said + String(text)).slice(-4_000);
  });
  const ended = new Promise<void>((done) => child.once('exit', () => done()));
  const ca = await readFile(join(folder, 'fullchain.pem'), 'utf8');
  const key = await readFile(join(folder, 'privkey.pem'), 'utf8');
  const proxy: RunningProxy = {
    port: tls,
    certificate: { cert: ca, key },
    ask: (path, asking = {}) => ask({ port: tls, ca, path, ...asking }),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
  const started = performance.now();
  for (;;) {
    const status = await proxy.ask('/health/live').then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return proxy;
    if (child.exitCode !== null || performance.now() - started > START_LIMIT_MS) {
      await proxy.stop();
      throw new Error(`${name} does not serve: ${said}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function makeCertificate(folder: string): Promise<void> {
  const [key, chain] = [join(folder, 'privkey.pem'), join(folder, 'fullchain.pem')];
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', chain],
  ]);
  await writeFile(
    join(folder, 'haproxy.pem'),
    `${await readFile(chain, 'utf8')}${await readFile(key, 'utf8')}`,
  );
}

function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });
}

function ask({
  port,
  ca,
  path,
  method = 'GET',
  headers = {},
  body,
  from = '127.0.0.1',
  enough,
}: Asking & {
  port: number;
  ca: string;
  path: string;
}): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request(
      {
        host: '127.0.0.1',
        servername: 'localhost',
        port,
        ca,
        path,
        method,
        localAddress: from,
        agent: false,
        headers: { host: `localhost:${port}`, ...headers },
        timeout: 20_000,
      },
      (response) => {
        let text = '';
        const finish = () => done({ status: response.statusCode!, headers: response.headers, text });
        response.setEncoding('utf8');
        response.on('data', (part) => {
          text += part;
          if (!enough?.(text)) return;
          finish();
          sent.destroy();
        });
        response.on('end', finish);
        response.on('error', fail);
      },
    );
    sent.on('error', fail);
    sent.on('timeout', () => sent.destroy(new Error(`no answer of ${path} within 20 s`)));
    sent.end(body);
  });
}
