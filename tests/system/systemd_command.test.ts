/** `infrastructure/systemd/command`: what it asks systemd-run for, by a stand-in that prints its arguments (no systemd is needed). */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../infrastructure/systemd/command', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'trunkline-systemd-'));
after(() => rm(folder, { recursive: true }));
await writeFile(join(folder, 'systemd-run'), '#!/bin/sh\nprintf "%s\\n" "$@"\n');
await chmod(join(folder, 'systemd-run'), 0o700);

const asked = (environment: Record<string, string>) =>
  execFileSync('/bin/sh', [COMMAND, 'migrate', '--dry-run'], {
    encoding: 'utf8',
    env: { PATH: `${folder}:${process.env.PATH}`, ...environment },
  }).split('\n');

test('a command runs as the service does, in its folder, or in that of the version that is to come', () => {
  for (const [environment, program] of [
    [{}, '/opt/trunkline'],
    [{ TRUNKLINE_FOLDER: '/opt/trunkline-new' }, '/opt/trunkline-new'],
  ] as const) {
    const words = asked(environment);
    assert.ok(words.includes('--uid=trunkline'));
    assert.ok(words.includes('--property=EnvironmentFile=/etc/trunkline/environment'));
    assert.ok(words.includes('--setenv=DATA_DIR=/var/lib/trunkline'));
    const node = words.indexOf(`${program}/node_modules/node/bin/node`);
    assert.deepEqual(words.slice(node), [
      `${program}/node_modules/node/bin/node`,
      `${program}/main.ts`,
      'migrate',
      '--dry-run',
      '',
    ]);
  }
});
