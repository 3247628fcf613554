import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { detectFormat } from './detect.ts';
import type { FormatName } from './formats.ts';

const sample = (name: string) => readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url));
const SAMPLES: [FormatName, string][] = [
  ['asterisk-csv', 'asterisk-master.csv'],
  ['asterisk-custom', 'asterisk-custom-master.csv'],
  ['freeswitch-example', 'freeswitch-example.csv'],
  ['freeswitch-asterisk', 'freeswitch-asterisk.csv'],
  ['freeswitch-default', 'freeswitch-default.csv'],
  ['cisco-cucm', 'cucm.csv'],
];
const lines = (name: string) => sample(name).toString().trimEnd().split('\n');

/** Format and how sure. */
function detected(head: string | Buffer): [FormatName | null, string?] {
  const detection = detectFormat(typeof head === 'string' ? Buffer.from(head) : head);
  assert.ok(detection.why.length > 0);
  return detection.format === null ? [null] : [detection.format, detection.sure];
}

const why = (head: string | Buffer) => detectFormat(typeof head === 'string' ? Buffer.from(head) : head).why;

describe('by content', () => {
  for (const [format, name] of SAMPLES) {
    test(`${format}: whole, its first row alone, with Windows line ends, in Latin-1, behind a byte-order mark`, () => {
      const text = sample(name).toString();
      const first = lines(name).slice(0, 3).join('\n');
      for (const head of [
        text,
        first,
        text.replaceAll('\n', '\r\n'),
        `\ufeff${text}`,
        `\n\r\n${text}`,
        text.slice(0, -40),
      ]) {
        assert.deepEqual(detected(head), [format, 'certain']);
      }
      assert.deepEqual(detected(Buffer.from(text, 'latin1')), [format, 'certain']);
    });

    if (format !== 'cisco-cucm') {
      test(`${format}: among broken rows, and of a row without its line end`, () => {
        const rows = lines(name);
        assert.deepEqual(detected(rows[0]!), [format, 'certain']);
        assert.deepEqual(detected(`"cut off","\n${rows.join('\n')}\n`), [format, 'certain']);
        assert.deepEqual(detected(`${'"cut off","\n'.repeat(40)}${rows.join('\n')}\n`), [format, 'likely']);
      });
    }
  }

  test('cdr_csv and cdr_custom of the same number of columns are told by what stands where', () => {
    const csv19 = lines('asterisk-master.csv').map((row) =>
      row.replace(/,"[^"]*","[^"]*"$/, ',"peer","1772440633.101",5'),
    );
    assert.deepEqual(detected(csv19.join('\n')), ['asterisk-csv', 'certain']);
    assert.match(
      why(csv19.join('\n')),
      /^19 columns, stamps in columns 10 to 12, disposition in 15, amaflags in 16$/,
    );
    const custom18 = lines('asterisk-custom-master.csv').map((row) => row.replace(/,\d+$/, ''));
    assert.deepEqual(detected(custom18.join('\n')), ['asterisk-custom', 'certain']);
    assert.match(why(custom18.join('\n')), /^18 columns, stamps in columns 9 to 11, disposition in 14/);
  });

  test('any of the columns that cdr_csv may have', () => {
    for (const tail of [
      '',
      ',"1.1"',
      ',"1.1",""',
      ',"","1.1",4',
      ',"1.1","","1.1",4',
      ',"1.1","","","1.1",4',
    ]) {
      const rows = lines('asterisk-master.csv').map((row) => row.replace(/,"[^"]*","[^"]*"$/, tail));
      assert.deepEqual(detected(rows.join('\n')), ['asterisk-csv', 'certain'], tail);
    }
  });

  test('a header that people put above', () => {
    const header =
      'caller_id_name,caller_id_number,destination_number,context,start_stamp,answer_stamp,end_stamp,duration,billsec,hangup_cause,uuid,bleg_uuid,accountcode,read_codec,write_codec';
    assert.deepEqual(detected(`${header}\n${lines('freeswitch-example.csv').join('\n')}`), [
      'freeswitch-example',
      'certain',
    ]);
    assert.match(why(`${header}\n${lines('freeswitch-example.csv').join('\n')}`), /^15 columns/);
  });

  test('what a spreadsheet saved', () => {
    const row =
      'Bob,1002,+12025550143,default,2020/2/10 22:41,,2020/2/10 22:43,80,74,NORMAL_CLEARING,f9ebdacc-0cb1-429c-a58c-da1495e60af5,,acme,PCMA,PCMA';
    assert.deepEqual(detected(`${row}\r\n`), ['freeswitch-example', 'certain']);
  });

  test('of a large file only the beginning is looked at, up to a whole line', () => {
    const text = `${lines('asterisk-master.csv').join('\n')}\n`;
    const head = Buffer.from(text.repeat(100)).subarray(0, 200_000);
    assert.deepEqual(detected(head), ['asterisk-csv', 'certain']);
  });

  test('JSON as mod_json_cdr writes it, URL-encoded, posted or in an array', () => {
    const document = JSON.stringify({ 'core-uuid': 'x', channel_data: {}, variables: {}, callflow: [] });
    const form = encodeURIComponent(document);
    for (const head of [document, `\n ${document}`, `[${document}]`, form, `cdr=${form}`]) {
      assert.deepEqual(detected(head), ['freeswitch-json', 'certain'], head);
    }
    assert.match(why('{"clid":"x","src":"1"}'), /JSON, but not as FreeSWITCH's mod_json_cdr/);
  });
});

describe('what it is not', () => {
  test('a header of its own asks for a mapping and names the columns', () => {
    assert.deepEqual(detected(sample('carrier.csv')), [null]);
    assert.match(
      why(sample('carrier.csv')),
      /a header of its own \(Call ID, Customer, From.*--map column=field, with call_id, account/,
    );
  });

  test('rows of no known order ask for the format or a header', () => {
    assert.match(
      why('1,2,3\n4,5,6\n'),
      /first row has 3 columns in no known order; name the format \(--format asterisk-csv/,
    );
  });

  test('other files are told for what they are', () => {
    assert.match(why(''), /is empty/);
    assert.match(why('\ufeff\n'), /is empty/);
    assert.match(why(Buffer.from('\ufeff"a","b"\n', 'utf16le')), /UTF-16; save it as UTF-8/);
    assert.match(why(Buffer.from('PK\u0003\u0004rest of it')), /zip or a spreadsheet/);
    const cmr =
      '"cdrRecordType","globalCallID_callManagerId","globalCallID_callId","nodeId","directoryNum","dateTimeStamp"\n';
    assert.match(why(cmr), /CMRs, which tell of the quality of calls/);
  });
});
