/** Back-ups: the age of the newest, its part in the topology, and its alerts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '#platform/lifecycle/fake_clock.ts';
import { advanceAlerts, emptyBook } from './alerts.ts';
import { type BackupSource, backupPart, backupSamples, readBackup } from './backup_reader.ts';
import { BACKUP_RULES } from './backup_rules.ts';
import { createHistory } from './samples.ts';

const HOUR_MS = 3_600_000;
const POLL_MS = 10_000;
const NOW = Date.UTC(2026, 10, 20);

const sourceOf = (newest: BackupSource['newest']): BackupSource => ({
  folder: '/backups',
  maxAgeS: 26 * 3_600,
  newest,
});

test('the newest back-up is shown with its age; an empty, an unreadable and a hanging folder have no back-up', async () => {
  const clock = createFakeClock(NOW);
  const read = (newest: BackupSource['newest']) => readBackup(sourceOf(newest), clock);
  const fresh = backupPart(await read(async () => NOW - 5 * HOUR_MS));
  assert.deepEqual([fresh.state, fresh.detail], ['UP', 'the newest in /backups is 5 h old']);
  const old = backupPart(await read(async () => NOW - 27 * HOUR_MS));
  assert.deepEqual(
    [old.state, old.detail],
    ['NOT_READY', 'the newest in /backups is 27 h old; it may be 26 h (BACKUP_MAX_AGE_H)'],
  );
  const ahead = await read(async () => NOW + HOUR_MS);
  assert.equal(ahead.ageS, 0);
  const none = backupPart({ ...(await read(async () => undefined)) });
  assert.deepEqual(
    [none.state, none.detail],
    ['NOT_READY', 'no back-up is known in /backups: there is none'],
  );
  const broken = await read(async () => {
    throw new Error('EACCES');
  });
  assert.match(backupPart(broken).detail, /EACCES$/);
  const planned = { ...sourceOf(async () => undefined), times: 'each day at 03:15' };
  assert.match(backupPart(await readBackup(planned, clock)).detail, /there is none; made each day at 03:15$/);
});

test('a back-up that is older than its limit raises an alert, and so does a missing one; a new one ends both', async () => {
  const clock = createFakeClock(NOW);
  const book = emptyBook();
  const history = createHistory(180_000);
  let at = 0;
  const polls = async (times: number, newest: number | undefined) => {
    const told: string[] = [];
    for (let n = 0; n < times; n++) {
      at += POLL_MS;
      history.add(
        at,
        backupSamples(
          await readBackup(
            sourceOf(async () => newest),
            clock,
          ),
        ),
      );
      const events = advanceAlerts(book, BACKUP_RULES, history, { haproxy: true, services: new Set() });
      for (const { kind, alert } of events)
        told.push(`${kind} ${alert.rule}: ${kind === 'resolved' ? alert.recovery : alert.message}`);
    }
    return told;
  };
  assert.deepEqual(await polls(20, NOW - 26 * HOUR_MS), []);
  assert.deepEqual(await polls(10, NOW - 28 * HOUR_MS), [
    'firing BackupOld: the newest back-up in /backups is 2 h older than its limit',
  ]);
  const none = await polls(40, undefined);
  assert.ok(
    none.includes(
      'firing BackupUnknown: no back-up is known: there is none in /backups, or it cannot be read',
    ),
    `${none}`,
  );
  const ended = await polls(40, NOW);
  assert.ok(ended.includes('resolved BackupUnknown: a back-up is known again, in /backups'), `${ended}`);
  assert.deepEqual(await polls(10, NOW), []);
});
