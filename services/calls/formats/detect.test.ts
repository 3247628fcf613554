import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { detectFormat } from './detect.ts';
import { FORMATS, type FormatName } from './formats.ts';
import { openSource } from './reader.ts';
import { SourceError } from './source_error.ts';

const sample = (name: string) => readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url));
const SAMPLES: [FormatName, string][] = [
  ['asterisk-csv', 'asterisk-master.csv'],
  ['asterisk-custom', 'asterisk-custom-master.csv'],
  ['asterisk-header', 'freepbx.csv'],
  ['asterisk-header', 'pbxware.csv'],
  ['asterisk-header', 'grandstream.csv'],
  ['freeswitch-example', 'freeswitch-example.csv'],
  ['freeswitch-asterisk', 'freeswitch-asterisk.csv'],
  ['freeswitch-default', 'freeswitch-default.csv'],
  ['cisco-cucm', 'cucm.csv'],
  ['avaya-smdr', 'avaya-smdr.csv'],
  ['3cx-cdr', '3cx-cdr.log'],
];
/** Told by their header alone. */
const HEADED: ReadonlySet<FormatName> = new Set(['asterisk-header', 'cisco-cucm']);
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
    test(`${format}, ${name}: whole, its first row alone, with Windows line ends, in Latin-1, behind a byte-order mark`, () => {
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

    if (!HEADED.has(format)) {
      test(`${format}, ${name}: among broken rows, and of a row without its line end`, () => {
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

  test('a first call that nobody answered, with a nought or a text that stands for none', () => {
    const row = lines('asterisk-master.csv')[0]!;
    const answer = /(?<="2026-[^"]*",)[^,]*(?=,"2026-)/;
    for (const none of ['"0.000000"', '0', '"0000-00-00 00:00:00"', '"1970-01-01 00:00:00"', 'NULL'])
      assert.deepEqual(detected(`${row.replace(answer, none)}\n`), detected(`${row}\n`), none);
    const other = lines('freeswitch-example.csv')[0]!;
    assert.deepEqual(detected(`${other.replace(/"\d+","\d+",("[A-Z_]+")/, '"20","NULL",$1')}\n`), [
      'freeswitch-example',
      'certain',
    ]);
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
    assert.match(why('{"clid":"x","src":"1"}'), /JSON, but not in the form of FreeSWITCH's mod_json_cdr/);
  });
});

describe('XML', () => {
  const document = sample('freeswitch-xml/a_c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.xml').toString();

  test('as mod_xml_cdr writes and posts it, URL-encoded, in base64, without its declaration', () => {
    const base64 = Buffer.from(document).toString('base64');
    for (const head of [
      ...[document, `\ufeff${document}`, `cdr=${document}`, document.replace(/^.*\n/, '')],
      ...[encodeURIComponent(document), `cdr=${encodeURIComponent(document)}`, base64, `cdr=${base64}`],
    ]) {
      assert.deepEqual(detected(head), ['freeswitch-xml', 'certain'], head.slice(0, 40));
    }
  });

  test('of others is told from it', () => {
    for (const other of [
      '<?xml version="1.0"?>\n<calls><call/></calls>',
      '<cdr guid="7821" seq="17" sys="pbx"><event/></cdr>',
    ])
      assert.match(why(other), /XML of an unknown form/);
  });

  test('JSON that could not be posted is known by its base64 too', () => {
    const json = sample('freeswitch-json-cdr.json').toString('base64');
    assert.deepEqual(detected(json), ['freeswitch-json', 'certain']);
  });
});

describe('no format is taken for another', () => {
  /** FreeSWITCH's template "asterisk" has Asterisk's columns in Asterisk's order: told wrongly it is the same calls. */
  const SAME_COLUMNS = new Set(['asterisk-csv', 'freeswitch-asterisk']);
  /** Each sample read as each other format, as `--format` may tell wrongly: no call comes out. */
  const ALL: [FormatName, string][] = [
    ...SAMPLES,
    ['freeswitch-json', 'freeswitch-json-cdr.json'],
    ['freeswitch-xml', 'freeswitch-xml/a_c1e5d0a7-94b2-4b0c-8c11-5b2f0e7a3c01.cdr.xml'],
  ];
  for (const [format, name] of ALL) {
    for (const other of Object.keys(FORMATS) as FormatName[]) {
      if (other === format || other === 'mapped') continue;
      if (SAME_COLUMNS.has(format) && SAME_COLUMNS.has(other)) continue;
      test(`${name} read as ${other}`, () => {
        const calls = (): number => {
          const reader = openSource(other, { timeZone: 'UTC' });
          const taken = [...reader.push(sample(name)), ...reader.end()];
          return taken.filter(({ parsed }) => parsed.kind === 'record').length;
        };
        let found = 0;
        try {
          found = calls();
        } catch (error) {
          assert.ok(error instanceof SourceError, String(error));
        }
        assert.equal(found, 0);
      });
    }
  }

  /** What people do to files; the format stays what it is, or can't be told any more. */
  const CHANGES: Record<string, (text: string) => string> = {
    'as it is': (text) => text,
    'all values in quotes': (text) =>
      text.replace(/^.*$/gm, (line) =>
        line.includes('"') || line === '' ? line : `"${line.replaceAll(',', '","')}"`,
      ),
    'every other row': (text) => text.replace(/^(.*\n)(.*\n)/gm, '$1'),
    semicolons: (text) => (text.includes('"') ? text : text.replaceAll(',', ';')),
    'the last column gone': (text) => text.replace(/,[^,\n]*$/gm, ''),
    'the first column gone': (text) => text.replace(/^[^,\n]*,/gm, ''),
    'a column more': (text) => text.replace(/$/gm, ',x').replace(/^,x$/gm, ''),
    'the word for the end unknown': (text) =>
      text.replaceAll('ANSWERED', 'GONE').replaceAll('NORMAL_CLEARING', 'GONE'),
  };
  for (const [format, name] of SAMPLES) {
    for (const [change, apply] of Object.entries(CHANGES)) {
      test(`${name}, ${change}`, () => {
        const [found] = detected(apply(sample(name).toString()));
        const family = (of: FormatName) => FORMATS[of].source;
        // cdr_csv and FreeSWITCH's templates have columns that may be missing: another of the family is no mistake.
        if (found !== null) assert.equal(family(found), family(format), found);
      });
    }
  }
});

describe('what it is not', () => {
  test('a header of its own asks for a mapping and names the columns', () => {
    assert.deepEqual(detected(sample('carrier.csv')), [null]);
    assert.match(
      why(sample('carrier.csv')),
      /a header of its own \(Call ID, Customer, From.*--map column=field, with account, call_id, direction/,
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
    const cmr =
      '"cdrRecordType","globalCallID_callManagerId","globalCallID_callId","nodeId","directoryNum","dateTimeStamp"\n';
    assert.match(why(cmr), /CMRs, which report call quality/);
  });
});
