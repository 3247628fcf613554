/** Records of one call id: the same leg told by other files, and legs of one call. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { testDatabase } from '#tests/postgres.ts';
import { assertUsageIsExact } from '#tests/usage.ts';
import {
  cucmFile,
  freeswitchDocuments,
  freeswitchFile,
  importWritten,
  type WrittenCall,
  type WrittenFile,
} from '#tests/written_calls.ts';
import type { FormatName } from '../formats/formats.ts';
import { compareLegs, legOf } from './legs.ts';

const { pool } = await testDatabase();

let sources = 0;

/** Imports the files one after the other into a source of their own; how many calls each stored. */
async function storedBy(files: readonly WrittenFile[], source = `legs ${sources++}`): Promise<number[]> {
  const stored: number[] = [];
  for (const [index, file] of files.entries()) {
    const counts = await importWritten(pool, file, `/legs/${source}/${index}`, { source });
    assert.deepEqual([counts.conflicts, counts.rejected], [0, 0], file.format);
    stored.push(counts.stored);
  }
  await assertUsageIsExact(pool);
  return stored;
}

const file = (format: FormatName, rows: readonly string[]): WrittenFile => ({
  format,
  text: rows.map((row) => `${row}\n`).join(''),
  read: {},
});

/** A call by two legs, as cdr_csv writes it: 18 columns. */
const CSV = [0, 1].map(
  (leg) =>
    `"acme","1001","600","from-internal","","PJSIP/1001-1","PJSIP/60${leg}-2","Queue","q","2026-03-02 09:04:54","2026-03-02 09:05:0${leg}","2026-03-02 09:05:42",48,4${leg},"ANSWERED","DOCUMENTATION","1772442294.1",""`,
);
/** With its new columns: peeraccount, linkedid, sequence. */
const CSV_NEW = CSV.map((row, leg) => `${row},"","1772442294.1",1${leg}`);
const CUSTOM = [0, 1].map(
  (leg) =>
    `"","1001","600","from-internal","PJSIP/1001-1","PJSIP/60${leg}-2","Queue","q","2026-03-02 09:04:54","2026-03-02 09:05:0${leg}","2026-03-02 09:05:42","48","4${leg}","ANSWERED","DOCUMENTATION","acme","1772442294.1","",1${leg}`,
);
/** Legs that only their sequence tells apart. */
const FORKED = CSV_NEW.map((row) => row.replace('601', '600'));

const ASTERISK: Record<string, WrittenFile> = {
  csv: file('asterisk-csv', CSV),
  'csv with its new columns': file('asterisk-csv', CSV_NEW),
  custom: file('asterisk-custom', CUSTOM),
};

for (const first of Object.keys(ASTERISK)) {
  for (const second of Object.keys(ASTERISK)) {
    test(`two legs by Asterisk's ${first}, then by its ${second}`, async () => {
      assert.deepEqual(await storedBy([ASTERISK[first]!, ASTERISK[second]!, ASTERISK[first]!]), [2, 0, 0]);
    });
  }
}

test('legs that their sequence alone tells apart are two; told without it they are known', async () => {
  const bare = FORKED.map((row) => row.split(',').slice(0, -3).join(','));
  assert.deepEqual(await storedBy([file('asterisk-csv', FORKED), file('asterisk-csv', bare)]), [2, 0]);
});

test('legs that differ in destination, channel, destination channel or application are two, in one file or in two', async () => {
  const row = CSV[0]!;
  const others = [
    row.replace('"600"', '"601"'),
    row.replace('PJSIP/1001-1', 'PJSIP/1001-9'),
    row.replace('PJSIP/600-2', 'PJSIP/777-2'),
    row.replace('"Queue"', '"Dial"'),
  ];
  assert.deepEqual(await storedBy([file('asterisk-csv', [row, ...others])]), [5]);
  for (const other of others) {
    assert.deepEqual(
      await storedBy([file('asterisk-csv', [row]), file('asterisk-csv', [other, row])]),
      [1, 1],
    );
  }
});

const sampleFile = async (format: FormatName, name: string): Promise<WrittenFile> => ({
  format,
  text: await readFile(new URL(`../../../tests/samples/${name}`, import.meta.url), 'utf8'),
  read: {},
});

test('the samples of one switch by its several formats are the same calls, in any order', async () => {
  const families = [
    [
      await sampleFile('asterisk-csv', 'asterisk-master.csv'),
      await sampleFile('asterisk-custom', 'asterisk-custom-master.csv'),
    ],
    [
      await sampleFile('freeswitch-example', 'freeswitch-example.csv'),
      await sampleFile('freeswitch-asterisk', 'freeswitch-asterisk.csv'),
      await sampleFile('freeswitch-default', 'freeswitch-default.csv'),
    ],
  ];
  for (const family of families) {
    for (const files of [family, family.toReversed()]) {
      const [first, ...others] = await storedBy(files);
      assert.deepEqual([first, ...others], [12, ...others.map(() => 0)]);
    }
  }
});

const CALLS = Array.from(
  { length: 6 },
  (_, n): WrittenCall => ({
    ...{ account: 'acme', id: `0a1b2c3d-0000-4000-8000-00000000000${n}`, start: 1_772_442_294 + n * 60 },
    ...{
      answerAfter: n % 2 ? 5 : null,
      endAfter: 65,
      duration: 65,
      billed: n % 2 ? 60 : 0,
      word: n % 2 ? 'ANSWERED' : 'BUSY',
    },
  }),
);

test('a call by FreeSWITCH is known by its uuid, from a row and from a document', async () => {
  const [rows, documents] = [freeswitchFile(CALLS), freeswitchDocuments(CALLS)];
  assert.deepEqual(await storedBy([rows, documents, rows]), [6, 0, 0]);
  assert.deepEqual(await storedBy([documents, rows, documents]), [6, 0, 0]);
});

test('records of one call by CUCM are told apart by pkid', async () => {
  const once = cucmFile(CALLS);
  const [header, ...rows] = once.text.trimEnd().split('\n');
  const sameCall = rows.map((row) => row.replaceAll(/,(\d+),/g, ',$1,'));
  assert.deepEqual(
    await storedBy([once, { ...once, text: `${[header, ...sameCall].join('\n')}\n` }]),
    [6, 0],
  );
});

test('legs: an id of their own decides; else what one lacks is no difference', () => {
  const leg = (attributes: Record<string, string>) => legOf(attributes);
  const same = (a: Record<string, string>, b: Record<string, string>, destination?: boolean) => [
    compareLegs(leg(a), leg(b), destination),
    compareLegs(leg(b), leg(a), destination),
  ];
  assert.deepEqual(same({ sequence: '1' }, { sequence: '1', channel: 'x' }, false), ['same', 'same']);
  assert.deepEqual(same({ sequence: '1' }, { sequence: '2' }, true), ['other', 'other']);
  assert.deepEqual(same({ sequence: '1', channel: 'x' }, { channel: 'x' }, true), ['same', 'same']);
  assert.deepEqual(same({ channel: 'x' }, { channel: 'y' }, true), ['other', 'other']);
  assert.deepEqual(same({ channel: 'x' }, {}, true), ['perhaps', 'perhaps']);
  assert.deepEqual(same({ channel: 'x' }, { Channel: 'x' }, undefined), ['perhaps', 'perhaps']);
  assert.deepEqual(same({ 'Dst Channel': 'x' }, { dstchannel: 'x' }, true), ['same', 'same']);
  assert.deepEqual(same({ pkid: 'A-B' }, { pkid: 'a-b' }, true), ['same', 'same']);
  assert.deepEqual(same({ note: 'a' }, { note: 'b' }, true), ['same', 'same']);
});
