/** Every configuration file of the tier, checked by the engine that reads it: for this machine and for containers. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { configurationFiles } from '#engines/cluster/configuration.ts';
import { renderForContainers } from '#engines/cluster/folders.ts';
import { composeLayout, type Layout, localLayout } from '#engines/cluster/layout.ts';
import { until } from '#engines/cluster/processes.ts';
import { findPrograms } from '#engines/cluster/programs.ts';
import { readOrMakeSecrets } from '#engines/cluster/secrets.ts';
import { createSupervisor } from '#engines/cluster/supervisor.ts';
import { watchedParts } from '#engines/cluster/watched.ts';
import { freePort } from '#engines/postgres.ts';
import { engineUser } from '#engines/processes.ts';
import { noRedis } from '#engines/redis.ts';
import { pingRedis } from '#platform/cache/redis_connection.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { readConfig } from '#system';
import { clusterSkip, makeTestCluster } from '#tests/cluster.ts';

const START_LIMIT_MS = 10_000;
const COMPOSE = fileURLToPath(new URL('../../compose.yaml', import.meta.url));

suite("the tier's configuration files", { skip: clusterSkip() }, () => {
  const folders = { local: '', compose: '' };
  let data: string;
  let portBase: number;
  let local: Layout;

  before(async () => {
    ({ data, portBase } = await makeTestCluster());
    local = localLayout({ data, portBase, haproxies: 2 });
    folders.local = local.folders.configuration;
    folders.compose = mkdtempSync(join(tmpdir(), 'trunkline-compose-'));
    mkdirSync(folders.local, { recursive: true });
    const files = configurationFiles({
      layout: local,
      secrets: await readOrMakeSecrets(data),
      synchronous: false,
      postgresPrograms: findPrograms().postgres,
      haproxyMaxconn: 2_000,
      haproxyClients: 1_500,
    });
    for (const file of files) writeFileSync(file.path, file.text);
    await renderForContainers(folders.compose, true);
  });
  after(() => {
    for (const folder of [data, folders.compose])
      if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const said = (program: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    return { status, text: stdout + stderr };
  };

  test('haproxy -c', () => {
    const files = [
      ...local.haproxies.map((h) => join(folders.local, `${h.name}.cfg`)),
      ...composeLayout().haproxies.map((h) => join(folders.compose, `${h.name}.cfg`)),
    ];
    for (const file of files) {
      const { status, text } = said(findPrograms().haproxy, '-c', '-f', file);
      assert.equal(status, 0, `${file}: ${text}`);
      // Names of containers are unknown here, and so is the file of states of theirs; that of this machine says that no
      // node is the primary yet. Nothing else may be warned of.
      const warnings = text
        .split('\n')
        .filter(
          (line) =>
            /WARNING/.test(line) &&
            !/could not resolve|server state file|leader\/node\d is DOWN, changed from server-state/.test(
              line,
            ),
        );
      assert.deepEqual(warnings, [], file);
    }
  });

  test('patroni --validate-config', () => {
    /** What its validator says of a sound file on a machine that is not the one meant. */
    const knownComplaints = [
      /connect_address .*'must not contain "127\.0\.0\.1"/,
      /connect_address .* is not reachable|Name or service not known|didn't pass validation: .*resolve/,
      /hosts\.0 .* is not reachable/,
      /bootstrap\.pg_hba +is not defined/,
    ];
    for (const [kind, layout] of Object.entries({ local, compose: composeLayout() })) {
      for (const node of layout.nodes) {
        const file = join(folders[kind as keyof typeof folders], `${node.name}.yml`);
        const { text } = said(findPrograms().patroni, '--validate-config', file);
        const others = text
          .split('\n')
          .filter((line) => line.trim() && !knownComplaints.some((known) => known.test(line)));
        assert.deepEqual(others, [], file);
      }
    }
  });

  test('both find a broken file', () => {
    const broken = join(data, 'broken.cfg');
    writeFileSync(broken, 'defaults\n  mode tcp\n  no such words\n');
    assert.notEqual(said(findPrograms().haproxy, '-c', '-f', broken).status, 0);
    writeFileSync(broken, 'scope: x\nname: y\nrestapi:\n  listen: nonsense\n');
    assert.match(said(findPrograms().patroni, '--validate-config', broken).text, /restapi/);
  });

  test('each PgBouncer starts on its file, lets its console user in by SCRAM, and has the limits of the file', async () => {
    const user = engineUser();
    const { folders: places, bouncers } = local;
    mkdirSync(places.logs, { recursive: true });
    if (user) for (const folder of [data, places.logs]) chownSync(folder, user.uid, user.gid);
    chmodSync(data, 0o755);
    const supervisor = createSupervisor({
      parts: bouncers.map((bouncer) => ({
        name: bouncer.name,
        kind: 'bouncer',
        command: findPrograms().pgbouncer,
        args: [join(folders.local, `${bouncer.name}.ini`)],
        environment: {},
        stopSignal: 'SIGTERM',
        stopLimitMs: START_LIMIT_MS,
      })),
      user,
      logs: places.logs,
      clock: systemClock,
      report: () => {},
    });
    const { bouncerStats } = await readOrMakeSecrets(data);
    const settings = (port: number) => consoleConfig(port, bouncerStats);
    try {
      for (const { name } of bouncers) supervisor.start(name);
      for (const { port, name } of bouncers) {
        let config = new Map<string, string>();
        const answered = async () => {
          config = await settings(port).catch(() => new Map());
          return config.size > 0;
        };
        assert.ok(await until(answered, START_LIMIT_MS), name);
        assert.deepEqual(
          ['pool_mode', 'default_pool_size', 'max_client_conn', 'pkt_buf'].map((key) => config.get(key)),
          ['transaction', '70', '6200', '16384'],
        );
      }
    } finally {
      await supervisor.stop();
    }
  });
});

async function consoleConfig(port: number, password: string): Promise<Map<string, string>> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'trunkline_stats',
    password,
    database: 'pgbouncer',
  });
  await client.connect();
  try {
    const { rows } = await client.query<{ key: string; value: string }>('SHOW CONFIG');
    return new Map(rows.map(({ key, value }) => [key, value]));
  } finally {
    await client.end();
  }
}

const noCompose = spawnSync('docker-compose', ['version']).status !== 0;

const composeConfig = (env: Record<string, string> = {}) =>
  execFileSync('docker-compose', ['-f', COMPOSE, 'config'], {
    ...{ encoding: 'utf8', stdio: 'pipe', env: { ...process.env, ...env } },
  });
const sectionOf = (text: string, name: string) =>
  text.split(new RegExp(`^  ${name}:$`, 'm'))[1]!.split(/^ {2}\w/m)[0]!;

suite('compose.yaml', {
  skip: noCompose && 'docker-compose is not installed (scripts/engines installs it)',
}, () => {
  test('docker-compose config accepts it, and its parts are those of the layout with the limits of the reference', () => {
    const text = composeConfig();
    const layout = composeLayout();
    for (const { name } of [...layout.nodes, ...layout.bouncers, ...layout.haproxies, ...layout.etcds]) {
      assert.match(text, new RegExp(`^  ${name}:$`, 'm'), name);
    }
    const section = (name: string) => sectionOf(text, name);
    for (const { name } of layout.bouncers) assert.match(section(name), /cpus: 1\.0\n\s+memory: 512M/, name);
    for (const { name } of layout.nodes) assert.match(section(name), /cpus: 2\.0\n\s+memory: 4G/, name);
    assert.doesNotMatch(text, /password|secret/i);
    for (const { name } of layout.haproxies) assert.match(section(name), /aliases:\n +- haproxy\n/, name);
    const published = [...text.matchAll(/127\.0\.0\.1:(\d+):(\d+)/g)].map(([, here, there]) => [here, there]);
    const { calls, identity, monitor } = readConfig({});
    const doors = [layout.writes.port, layout.reads.port, layout.haproxies[0]!.statsPort];
    // Of the second HAProxy the same, ten thousand further on.
    const listening = [
      ...doors.map((port) => [port, port]),
      ...doors.map((port) => [port + 10_000, port]),
      [calls.port, calls.port],
      [identity.port, identity.port],
      [monitor.port, monitor.port],
    ];
    assert.deepEqual(
      published,
      listening.map((ports) => ports.map(String)),
    );
  });

  test('Redis is there only with its profile; redis-server takes its words, and the password that is given', {
    skip: noRedis,
  }, async () => {
    const [REDIS_PASSWORD, port] = ['given-by-a-person', await freePort()];
    const REDIS_URL = `redis://:${REDIS_PASSWORD}@redis:6379`;
    const text = composeConfig({ COMPOSE_PROFILES: 'redis', REDIS_PASSWORD, REDIS_URL });
    assert.match(sectionOf(text, 'trunkline'), new RegExp(`REDIS_URL: ${REDIS_URL}$`, 'm'));
    const redis = sectionOf(text, 'redis');
    assert.match(redis, /profiles:\n +- redis\n/);
    assert.doesNotMatch(redis, /ports:/);
    const [program, ...words] = [...redis.matchAll(/^ +- (.*)$/gm)]
      .map(([, word]) => word!.replace(/^'(.*)'$/, '$1'))
      .filter((word) => word === 'redis-server' || word.startsWith('--'));
    const child = spawn(program!, [...words, `--port ${port}`, '--bind 127.0.0.1'], { stdio: 'ignore' });
    try {
      const url = REDIS_URL.replace('redis:6379', `127.0.0.1:${port}`);
      const answers = (at: string) =>
        pingRedis(at, systemClock).then(
          () => true,
          () => false,
        );
      assert.ok(await until(() => answers(url), START_LIMIT_MS));
      assert.ok(!(await answers(`redis://127.0.0.1:${port}`)), 'not without the password');
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('its monitor watches the same parts as the monitor of a tier on this machine: HAProxy, doors, bouncers, etcd', async () => {
    const words = /- -c\n +- (.*?)\n +environment:/s.exec(sectionOf(composeConfig(), 'trunkline'))?.[1];
    const program = words?.replaceAll(/\s+/g, ' ') ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'trunkline-compose-'));
    try {
      await renderForContainers(folder, false);
      assert.match(program, /exec trunkline up$/);
      const inHere = program.replaceAll('/etc/trunkline', folder).replace('exec trunkline up', 'exec env -0');
      const told = execFileSync('/bin/sh', ['-c', inHere], { encoding: 'utf8', env: {} });
      const config = readConfig(
        Object.fromEntries(
          told
            .split('\0')
            .filter(Boolean)
            .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
        ),
      );
      const { haproxies, doors, bouncers, etcd } = config.monitor;
      const { brokers, ...parts } = watchedParts(composeLayout(), await readOrMakeSecrets(folder));
      assert.deepEqual({ haproxies, doors, bouncers, etcd }, parts);
      assert.deepEqual(brokers, []);
      assert.deepEqual(
        [haproxies, doors, bouncers, etcd].map((each) => each.length),
        [2, 2, 5, 3],
      );
      assert.equal(config.DATABASE_URL, doors[0]!.url);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
