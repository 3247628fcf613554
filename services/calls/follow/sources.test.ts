import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMATS } from '../formats/formats.ts';
import { readSources, SourcesError } from './sources.ts';

const faultsOf = (value: unknown): readonly string[] => {
  try {
    readSources(typeof value === 'string' ? value : JSON.stringify(value));
  } catch (error) {
    assert.ok(error instanceof SourcesError, String(error));
    return error.faults;
  }
  return [];
};
const GOOD = { path: '/var/log/asterisk/cdr-csv/Master.csv', time_zone: 'Europe/Berlin' };

test('an entry is read with all its keys, and makes accounts unless it says otherwise', () => {
  const [plain, full] = readSources(
    JSON.stringify([
      GOOD,
      {
        ...{ path: '/srv/cdr/../drop/', time_zone: 'UTC', after: 'move:/srv/done', map_name: 'carrier' },
        ...{ source: 'pbx1', account: 'acme', country: 'DE', currency: 'EUR', date_order: 'dmy' },
        inbound_context: '^from-trunk',
      },
    ]),
  );
  assert.deepEqual(
    [plain!.path, plain!.timeZone, plain!.after, plain!.createAccounts, plain!.format],
    [GOOD.path, 'Europe/Berlin', { kind: 'keep' }, true, undefined],
  );
  assert.deepEqual(
    [full!.path, full!.after, full!.format, full!.mapName, full!.inboundContext?.test('from-trunk-1')],
    ['/srv/drop', { kind: 'move', folder: '/srv/done' }, 'mapped', 'carrier', true],
  );
  assert.deepEqual(readSources(''), []);
});

test('all faults are told at once, each with what would be right', () => {
  assert.deepEqual(
    faultsOf([
      { path: 'Master.csv', timezone: 'UTC', format: 'asterisk', after: 'move:done' },
      'Master.csv',
      { ...GOOD, country: 'Germany', create_accounts: 'yes', zzz: 1 },
      { ...GOOD, format: 'mapped', currency: 'EUR', create_accounts: false },
    ]),
    [
      'entry 1: there is no key "timezone"; did you mean "time_zone"?',
      'entry 1: "time_zone" is missing',
      `entry 1: "format" must be one of ${Object.keys(FORMATS).join(', ')}`,
      'entry 1: "path" must be an absolute path',
      'entry 1: "after" must be "keep", "delete", or "move:" and an absolute folder',
      'entry 2: it must be an object, {"path": …}',
      'entry 3: there is no key "zzz"; there are path, time_zone, after, format, source, account, account_from, map_name, date_order, decimal_sign, inbound_context, credits, on_conflict, call_ids, create_accounts, country, currency',
      'entry 3: "create_accounts" must be true or false',
      'entry 3: "country" must be a code of ISO 3166-1, such as "DE"',
      'entry 4: the format "mapped" needs a "map_name"',
      'entry 4: "currency" is for accounts that are created, and "create_accounts" is false',
    ],
  );
  assert.match(faultsOf([{ ...GOOD, format: 'asterisk-cvs' }])[0]!, /did you mean "asterisk-csv"\?$/);
  const twice = JSON.stringify([GOOD]).replace('{', '{"path":"/a",');
  assert.deepEqual(faultsOf(twice), ['the key "path" stands twice in an entry']);
  assert.match(faultsOf('[{]')[0]!, /^it is no JSON/);
  assert.deepEqual(faultsOf({ ...GOOD }), ['it must be a JSON array, [{"path": …}]']);
});

test('no file is followed twice, neither by two entries nor in a folder that is followed', () => {
  const folder = { path: '/srv/drop', time_zone: 'UTC' };
  assert.deepEqual(faultsOf([GOOD, GOOD]), [`entry 2: entry 1 follows ${GOOD.path} already`]);
  assert.deepEqual(faultsOf([folder, { ...GOOD, path: '/srv/drop/a.csv' }]), [
    'entry 2: /srv/drop/a.csv is in /srv/drop, which entry 1 follows',
  ]);
  assert.deepEqual(faultsOf([folder, { path: '/srv/b', time_zone: 'UTC', after: 'move:/srv/drop' }]), [
    'entry 2: entry 1 follows /srv/drop, into which this entry moves its documents',
  ]);
  assert.deepEqual(faultsOf([{ ...folder, after: 'move:/srv/drop' }]), [
    'entry 1: "after" moves documents to the folder that they are in',
  ]);
});
