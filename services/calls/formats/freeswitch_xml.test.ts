import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Parsed, SourceRecord } from '../cdr.ts';
import { parseJsonCdr } from './freeswitch_json.ts';
import { createXmlReader, parseXmlCdr } from './freeswitch_xml.ts';
import { decodePostedXml } from './freeswitch_xml_post.ts';
import { MAX_DOCUMENT_BYTES } from './json_documents.ts';
import type { ParsedRow } from './source_reader.ts';

const OPTIONS = { timeZone: 'UTC' };
const SAMPLES = new URL('../../../tests/samples/', import.meta.url);
const filesOf = (folder: string): string[] =>
  readdirSync(new URL(folder, SAMPLES))
    .sort()
    .map((name) => readFileSync(new URL(`${folder}/${name}`, SAMPLES), 'utf8'));
const XML = filesOf('freeswitch-xml');
const JSON_FILES = filesOf('freeswitch-json');

function recordOf(parsed: Parsed | undefined): SourceRecord {
  assert.equal(parsed?.kind, 'record', JSON.stringify(parsed));
  return (parsed as { record: SourceRecord }).record;
}

function read(...chunks: (string | Buffer)[]): ParsedRow[] {
  const reader = createXmlReader(OPTIONS);
  return [...chunks.flatMap((chunk) => reader.push(Buffer.from(chunk))), ...reader.end()];
}

const outcomes = (taken: ParsedRow[]) =>
  taken.map(({ row, parsed }) => [
    row.line,
    parsed.kind === 'record' ? parsed.record.callId.slice(-2) : parsed.rejection.code,
  ]);

/** FreeSWITCH's switch_url_encode. What is encoded already stays in variables, not in posts. */
function urlEncode(text: string, keepsEncoded: boolean): string {
  const bytes = Buffer.from(text);
  return [...bytes]
    .map((byte, at) => {
      const char = String.fromCharCode(byte);
      if (keepsEncoded && char === '%' && /^[0-9A-F]{2}$/.test(bytes.toString('latin1', at + 1, at + 3)))
        return char;
      const isSafe = byte >= 32 && byte <= 126 && !'\r\n #%&+:;<=>?@[\\]^`{|}"'.includes(char);
      return isSafe ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** switch_xml_ampencode of an element's text; UTF-8 as it is, or as references. */
function ampEncode(text: string, references: boolean): string {
  const escaped = text
    .replace(/[&<>]/g, (char) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[char]!)
    .replaceAll('\r', '&#xD;');
  return references
    ? escaped.replace(/[^\0-\x7f]/gu, (char) => `&#x${char.codePointAt(0)!.toString(16).toUpperCase()};`)
    : escaped;
}

interface Coatless {
  readonly switchname: string;
  readonly direction: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly flows: readonly Readonly<Record<string, string>>[];
}

const asJson = (call: Coatless): unknown => ({
  'core-uuid': 'c',
  switchname: call.switchname,
  channel_data: { direction: call.direction },
  variables: Object.fromEntries(Object.entries(call.variables).filter(([, value]) => value !== '')),
  callflow: call.flows.map((profile) => ({
    caller_profile: profile,
    times: { created_time: '1780000000000000' },
  })),
});

function asXml(call: Coatless, references = false): string {
  const elements = (texts: Readonly<Record<string, string>>, write: (value: string) => string) =>
    Object.entries(texts)
      .map(([name, value]) => `    <${name}>${write(value)}</${name}>\n`)
      .join('');
  const attribute = ampEncode(call.switchname, references).replaceAll('"', '&quot;');
  const flows = call.flows.map(
    (profile) =>
      `  <callflow dialplan="XML" profile_index="1">\n    <caller_profile>\n${elements(profile, (value) => ampEncode(value, references))}      <originator>\n        <originator_caller_profile>\n          <uuid>other</uuid>\n        </originator_caller_profile>\n      </originator>\n    </caller_profile>\n    <times>\n      <created_time>1780000000000000</created_time>\n    </times>\n  </callflow>\n`,
  );
  return `<?xml version="1.0"?>\n<cdr core-uuid="c" switchname="${attribute}">\n  <channel_data>\n    <direction>${call.direction}</direction>\n  </channel_data>\n  <variables>\n${elements(call.variables, (value) => urlEncode(value, true))}  </variables>\n${flows.join('')}</cdr>\n`;
}

describe('the same call in either coat', () => {
  test('is the same record: the samples', () => {
    assert.equal(XML.length, 3);
    for (const [at, text] of XML.entries()) {
      const [taken, ...others] = read(text);
      assert.deepEqual(others, []);
      assert.deepEqual(recordOf(taken?.parsed), recordOf(parseJsonCdr(JSON.parse(JSON_FILES[at]!), OPTIONS)));
    }
  });

  test('is the same record: any values, also with brackets, entities, accents and line ends', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => {
      // What XML cannot hold, and the one thing that FreeSWITCH does not escape.
      return value.isWellFormed() && !/(?![\t\n\r])\p{Cc}|\p{Cn}|<[!?]/u.test(value);
    });
    // What looks encoded stays as it is when it is encoded, in either coat, and is lost.
    const plain = text.filter((value) => !/%[0-9A-F]{2}/.test(value));
    const digits = fc.integer({ min: 1, max: 9_999 }).map(String);
    const call = fc.record({
      switchname: text.map((value) => value.replace(/\s/g, '')),
      direction: fc.constantFrom('inbound', 'outbound'),
      variables: fc.record({
        uuid: fc.uuid(),
        start_uepoch: fc.constant('1780000000000000'),
        duration: digits,
        billsec: digits,
        hangup_cause: fc.constantFrom('NORMAL_CLEARING', 'USER_BUSY', 'A_CAUSE_OF_NEXT_YEAR'),
        accountcode: plain,
        sip_user_agent: plain,
        last_arg: plain,
        caller_id: plain,
        left_out: plain,
      }),
      flows: fc.array(
        fc.record({
          caller_id_name: text,
          caller_id_number: text,
          destination_number: text,
          context: fc.constantFrom('public', 'default'),
        }),
        { maxLength: 3 },
      ),
    });
    fc.assert(
      fc.property(call, fc.boolean(), (given, references) => {
        const json = recordOf(parseJsonCdr(asJson(given), OPTIONS));
        assert.deepEqual(recordOf(parseXmlCdr(asXml(given, references), OPTIONS)), json);
      }),
      { numRuns: 500 },
    );
  });

  test('a variable of several values is the one that mod_json_cdr writes', () => {
    const several = XML[0]!.replace(
      '<variables>',
      '<variables>\n<last_arg>one</last_arg>\n<last_arg>two%20too</last_arg>',
    );
    const record = recordOf(parseXmlCdr(several.replace(/<last_arg>user[^<]*<\/last_arg>/, ''), OPTIONS));
    assert.equal(record.attributes.last_arg, 'ARRAY::one|:two too');
  });
});

test('a variable that no element can be named by loses no call', () => {
  const odd = XML[0]!.replace(
    '<variables>',
    '<variables>\n<my var>1</my var><1st>x</1st><a@b>y</a@b><sip_h_X-Foo>z</sip_h_X-Foo><x/>',
  );
  const expected = recordOf(read(XML[0]!)[0]?.parsed);
  const found = recordOf(read(odd)[0]?.parsed);
  assert.deepEqual([found.cli, found.cld, found.durationS], [expected.cli, expected.cld, expected.durationS]);
});

describe('a posted document', () => {
  const record = recordOf(read(XML[0]!)[0]?.parsed);
  const bodies: [encode: string, body: string][] = [
    ['textxml', XML[0]!],
    ['false', `cdr=${XML[0]}`],
    ['true', `cdr=${urlEncode(XML[0]!, false)}`],
    ['base64', `cdr=${Buffer.from(XML[0]!).toString('base64')}`],
    ['a form from elsewhere', new URLSearchParams({ more: '1', cdr: XML[0]! }).toString()],
    [
      'a form from elsewhere, base64',
      new URLSearchParams({ cdr: Buffer.from(XML[0]!).toString('base64') }).toString(),
    ],
    ['without its declaration', XML[0]!.replace(/^<\?xml.*\n/, '')],
  ];
  for (const [encode, body] of bodies) {
    test(`encode=${encode} is the record that its file is, and so is what could not be posted`, () => {
      assert.deepEqual(recordOf(parseXmlCdr(decodePostedXml(body)!, OPTIONS)), record);
      const [taken, ...others] = read(body.replace(/^cdr=/, ''));
      if (!encode.startsWith('a form')) assert.deepEqual([recordOf(taken?.parsed), others], [record, []]);
    });
  }

  test('that is none is told from one', () => {
    for (const body of ['', '{"variables":{}}', 'cdr=%7B%22variables', 'cdr=eyJ2YXJ', '<html></html>', 'a=b'])
      assert.equal(decodePostedXml(body), null, body);
  });

  test('that is too large is refused before it is read', () => {
    const large = '<cdr>'.padEnd(25_000_000, 'x');
    for (const body of [
      large,
      `cdr=${large}`,
      `cdr=%3Ccdr${'%20'.repeat(8_000_000)}`,
      `cdr=PGNkcj${'A'.repeat(20_000_000)}`,
    ])
      assert.throws(() => decodePostedXml(body), /larger than 1048576 bytes/);
  });
});

describe('what FreeSWITCH never writes is refused', () => {
  const refused = (text: string) => {
    const [taken] = read(text);
    assert.equal(taken?.parsed.kind, 'rejected', JSON.stringify(taken?.parsed));
    return (taken.parsed as { rejection: { reason: string } }).rejection.reason;
  };
  const [whole] = XML;
  const cases: [what: string, from: string | RegExp, to: string, reason: RegExp][] = [
    ['a document type', '<cdr ', '<!DOCTYPE cdr [<!ENTITY a "x">]>\n<cdr ', /document type/],
    ['one with an address', '<cdr ', '<!DOCTYPE cdr SYSTEM "file:///etc/passwd">\n<cdr ', /document type/],
    ['a comment', '<variables>', '<!-- x --><variables>', /a comment/],
    ['CDATA', '<variables>', '<![CDATA[x]]><variables>', /CDATA/],
    ['an instruction', '<variables>', '<?php x ?><variables>', /instruction/],
    ['an entity', 'acme', '&acme;', /no XML: it breaks at line \d+ column \d+/],
    ['an entity of HTML', 'acme', '&nbsp;', /no XML/],
    ['an element that is not closed', '</variables>', '', /no XML/],
    [
      'a name said twice',
      '<caller_profile>',
      '<caller_profile><caller_id_number>1</caller_id_number>',
      /two elements <caller_id_number>/,
    ],
    [
      'an account said twice',
      '<variables>',
      '<variables><accountcode>other</accountcode>',
      /two elements <accountcode>/,
    ],
    ['another root', /<cdr ([^>]*)>/, '<call $1><cdr>', /its root is not <cdr>|no XML/],
    ['no variables', /<variables>.*<\/variables>/s, '', /no <variables>/],
    ['depth', '<app_log>', '<a>'.repeat(100), /nests deeper than 64/],
    ['too many elements', '<app_log>', '<a/>'.repeat(30_000), /more than 20000 elements/],
  ];
  for (const [what, from, to, reason] of cases)
    test(what, () => assert.match(refused(whole!.replace(from, to)), reason));

  test('no reason quotes the document', () => {
    for (const [, from, to] of cases)
      assert.doesNotMatch(refused(whole!.replace(from, to)), /442079460123|acme;/);
  });
});

describe('files of documents', () => {
  const [one, two, three] = XML.map((text) => text.trimEnd());

  test('one after the other, with blank lines, a byte-order mark and Windows line ends', () => {
    for (const text of [
      `${one}\n${two}\n${three}\n`,
      `${one}${two}${three}`,
      `\ufeff${one}\n\n${two}\n \n${three}`,
      [one, two, three].join('\n').replaceAll('\n', '\r\n'),
      [one, two, three].map((text) => text!.replace(/^<\?xml.*\n/, '')).join('\n'),
      [one, two, three].map((text) => urlEncode(text!, false)).join('\n'),
    ])
      assert.deepEqual(
        outcomes(read(text)).map(([, id]) => id),
        ['01', '02', '03'],
      );
  });

  test('a broken document is set aside with its bytes and line; reading goes on with the next', () => {
    const cut = one!.slice(0, 3_000);
    const lines = cut.split('\n').length;
    const taken = read(`${cut}\n${two}\nwhat now\n${three}\n${cut}`);
    assert.deepEqual(outcomes(taken), [
      [1, 'unreadable_row'],
      [lines + 1, '02'],
      [lines + 1 + two!.split('\n').length, 'unreadable_row'],
      [lines + 2 + two!.split('\n').length, '03'],
      [lines + 2 + two!.split('\n').length + three!.split('\n').length, 'unreadable_row'],
    ]);
    assert.equal(taken[0]!.row.bytes.toString(), cut.trimEnd());
    assert.equal(taken[2]!.row.bytes.toString(), 'what now');
  });

  test('too large a document costs itself', () => {
    const large = one!.replace('</variables>', `<x>${'y'.repeat(MAX_DOCUMENT_BYTES * 3)}</x></variables>`);
    for (const text of [
      `${large}\n${two}`,
      `${large.slice(0, -6)}`,
      `${'z'.repeat(4 * MAX_DOCUMENT_BYTES)}\n${two}`,
    ]) {
      const chunks = text.match(/.{1,32768}/gs)!;
      const taken = read(...chunks);
      assert.equal((taken[0]!.parsed as { rejection: { code: string } }).rejection.code, 'too_large');
      assert.equal(taken[0]!.row.bytes.length, 65_536);
      assert.deepEqual(
        outcomes(taken)
          .slice(1)
          .map(([, id]) => id),
        text.endsWith(two!) ? ['02'] : [],
      );
    }
  });

  test('what is given does not depend on how the source was cut, nor on where rows begin', () => {
    const whole = Buffer.from(
      `${one}\n${two!.slice(0, 2_000)}\n${three}\nwhat\n${urlEncode(two!, false)}\r\n`,
    );
    const expected = read(whole);
    assert.equal(expected.length, 5);
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length), { maxLength: 6 }), (cuts) => {
        const edges = [0, ...cuts.sort((a, b) => a - b), whole.length];
        const taken = read(...edges.slice(1).map((edge, at) => whole.subarray(edges[at], edge)));
        assert.deepEqual(taken, expected);
        for (const { row } of taken)
          assert.deepEqual(whole.subarray(row.offset, row.offset + row.bytes.length), row.bytes);
      }),
      { numRuns: 200 },
    );
  });

  test('what only the end of the source gave is not ended, and is read again once more has come', () => {
    const whole = Buffer.from(`${one}\n${two}\n`);
    for (let cut = 0; cut <= whole.length; cut += 97) {
      const reader = createXmlReader(OPTIONS);
      const given = reader.push(whole.subarray(0, cut));
      const reached = reader.offset;
      assert.ok(given.every(({ row }) => row.ended && row.offset < reached));
      for (const { row } of reader.end()) assert.deepEqual([row.ended, row.offset], [false, reached]);
      const rest = read(whole.subarray(reached));
      assert.deepEqual(
        [...given, ...rest].map(({ parsed }) => parsed.kind),
        ['record', 'record'],
      );
    }
  });

  test('each is read alone as it is in its file', () => {
    for (const { row, parsed } of read(`${one}\n${two}\n${one!.slice(0, 500)}`)) {
      const [alone, ...others] = read(Buffer.concat([row.bytes, Buffer.from('\n')]));
      assert.deepEqual([alone!.parsed, others], [parsed, []]);
    }
  });
});
