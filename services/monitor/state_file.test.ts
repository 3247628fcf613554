import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createStateFile, emptyState, readStateFile } from './state_file.ts';

const folder = await mkdtemp(join(tmpdir(), 'trunkline-state-'));
after(() => rm(folder, { recursive: true }));
const path = join(folder, 'state.json');

test('a state of a later version is not damaged; a state of the previous version is read', async () => {
  const { version } = emptyState();
  await createStateFile(path).save({ ...emptyState(), notices: 7 }, 5);
  assert.deepEqual(await readStateFile(path, 0), { state: { ...emptyState(), notices: 7 }, savedAt: 5 });
  const write = (told: number, more: object) =>
    writeFile(path, JSON.stringify({ saved_at: 5, ...emptyState(), version: told, ...more }), {
      mode: 0o600,
    });
  await write(version - 1, { notices: 3 });
  const before = await readStateFile(path, 0);
  assert.deepEqual([before.aside, before.state.notices, before.state.version], [undefined, 3, version]);
  for (const [told, more, isLater] of [
    [version + 1, { alerts: 'in another form' }, true],
    [version, { alerts: 'in another form' }, false],
  ] as const) {
    await write(told, more);
    const { state, aside } = await readStateFile(path, 1);
    assert.deepEqual([state, aside!.isLater], [emptyState(), isLater]);
    assert.ok((await readdir(folder)).includes(`state.json.${isLater ? 'later' : 'damaged'}-1`));
  }
});
