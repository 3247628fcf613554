import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceRecord } from '../cdr.ts';
import { createJsonReader, parseJsonCdr } from './freeswitch_json.ts';
import { decodePostedCdr, percentDecode } from './freeswitch_post.ts';
import { MAX_DOCUMENT_BYTES } from './json_documents.ts';

const SAMPLES = new URL('../../../tests/samples/', import.meta.url);
const PLAIN = readFileSync(new URL('freeswitch-json-cdr.json', SAMPLES), 'utf8').trim();
const ENCODED = readFileSync(new URL('freeswitch-json-encoded.json', SAMPLES), 'utf8').trim().split('\n')[0]!;

const JSON_TYPE = 'application/json';
const FORM_TYPE = 'application/x-www-form-urlencoded';
const BASE64_TYPE = 'application/x-www-form-base64-encoded';

/** FreeSWITCH's switch_url_encode: what is encoded already stays. */
function urlEncode(text: string): string {
  const bytes = Buffer.from(text);
  return [...bytes]
    .map((byte, at) => {
      const char = String.fromCharCode(byte);
      if (char === '%' && /^[0-9A-F]{2}$/.test(bytes.toString('latin1', at + 1, at + 3))) return char;
      const isSafe = byte >= 32 && byte <= 126 && !'\r\n #%&+:;<=>?@[\\]^`{|}"'.includes(char);
      return isSafe ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function recordOf(document: unknown): SourceRecord {
  const parsed = parseJsonCdr(document, { timeZone: 'UTC' });
  return parsed.kind === 'record' ? parsed.record : assert.fail(JSON.stringify(parsed));
}

function recordInFile(text: string): SourceRecord {
  const reader = createJsonReader({ timeZone: 'UTC' });
  const [taken] = [...reader.push(Buffer.from(text)), ...reader.end()];
  return taken?.parsed.kind === 'record' ? taken.parsed.record : assert.fail(JSON.stringify(taken));
}

describe('a posted document is the record that its file is', () => {
  for (const [values, text] of [
    ['plain', PLAIN],
    ['encoded', ENCODED],
  ] as const) {
    const bodies: [name: string, body: string, type: string][] = [
      ['encode=false', text, JSON_TYPE],
      ['encode=true', `cdr=${urlEncode(text)}`, FORM_TYPE],
      ['encode=base64', `cdr=${Buffer.from(text).toString('base64')}`, BASE64_TYPE],
      ['encode=false, disable-100-continue', text, FORM_TYPE],
      ['encode=base64, disable-100-continue', `cdr=${Buffer.from(text).toString('base64')}`, FORM_TYPE],
      [
        'a form from elsewhere',
        new URLSearchParams({ more: '1', cdr: text }).toString(),
        `${FORM_TYPE}; charset=utf-8`,
      ],
    ];
    for (const [name, body, type] of bodies) {
      test(`${name}, values ${values}`, () => {
        const posted = recordOf(decodePostedCdr(body, type));
        const filed = recordInFile(text);
        if (name !== 'encode=true') assert.deepEqual(posted, filed);
        // encode=true can't tell "100%25" from "100%"; nothing that a record is made of is touched.
        else assert.deepEqual({ ...posted, attributes: null }, { ...filed, attributes: null });
        assert.equal(posted.attributes.sip_call_id, filed.attributes.sip_call_id);
        assert.equal(posted.attributes.caller_id_name, filed.attributes.caller_id_name);
      });
    }
  }
});

describe('encode=true over encode-values, which leaves no JSON', () => {
  const post = (variables: Record<string, string>, callflow: unknown[] = []) => {
    const encoded = Object.fromEntries(
      Object.entries(variables).map(([name, value]) => [name, urlEncode(value)]),
    );
    return decodePostedCdr(
      `cdr=${urlEncode(JSON.stringify({ a: {}, variables: encoded, callflow }))}`,
      FORM_TYPE,
    );
  };

  test('values with quotes, line ends and commas come through', () => {
    const variables = {
      caller_id: '"Zoë, the ""first""" <1001>',
      sdp: 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n',
      path: 'C:\\sounds\\',
      quoted: '"',
      json: '{"a":[1,2]}',
      'sip_h_X-Tag': 'x',
    };
    const callflow = [{ caller_profile: { caller_id_name: 'The "Boss"' } }];
    assert.deepEqual(post(variables, callflow), { a: {}, variables, callflow });
  });

  test('a value that looks like a variable which is there is refused', () => {
    const variables = { accountcode: 'acme', sip_user_agent: '"x","accountcode":"victim' };
    assert.throws(() => post(variables), /accountcode twice.*encode="false"/);
  });
});

describe('what is no document', () => {
  const wrong: [body: string, type: string, message: RegExp][] = [
    ['', JSON_TYPE, /empty/],
    ['hello', 'text/plain', /text\/plain.*neither an array of records, a JSON document nor a form/],
    ['a=1&b=2', FORM_TYPE, /field cdr/],
    ['cdr=', FORM_TYPE, /neither a URL-encoded nor a base64/],
    ['cdr=!!', BASE64_TYPE, /neither a URL-encoded nor a base64/],
    ['{"variables":{', JSON_TYPE, /the body is no JSON/],
    ['cdr=%7B%22variables%22', FORM_TYPE, /no JSON; set encode="false"/],
    ['cdr=bm90IGpzb24=', BASE64_TYPE, /base64 document is no JSON/],
    [`{"a":"${'x'.repeat(MAX_DOCUMENT_BYTES)}"}`, JSON_TYPE, /larger than/],
    [`cdr=%7B%22a%22%3A%22${'x'.repeat(MAX_DOCUMENT_BYTES)}%22%7D`, FORM_TYPE, /larger than/],
  ];
  for (const [body, type, message] of wrong) {
    test(`${JSON.stringify(body.slice(0, 30))} as ${type}`, () =>
      assert.throws(() => decodePostedCdr(body, type), message));
  }

  test('the message quotes nothing of the document', () => {
    for (const body of [
      '{"caller":"+493023125042",,}',
      '{+493023125042}',
      `cdr=${Buffer.from('{+49302').toString('base64')}`,
    ]) {
      assert.throws(
        () => decodePostedCdr(body, JSON_TYPE),
        (error: Error) => !error.message.includes('49302'),
      );
    }
  });

  test('any body gives a document or an Error', () => {
    const body = fc.oneof(fc.string(), fc.stringMatching(/^cdr=(%7B|eyJ|\{)?[%0-9A-Fa-z,"+=]{0,60}$/));
    fc.assert(
      fc.property(body, (text) => {
        try {
          decodePostedCdr(text, FORM_TYPE);
        } catch (error) {
          assert.equal((error as Error).constructor, Error);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('URL-decoding undoes encoding once, and leaves what is none', () => {
  assert.equal(percentDecode('100%2525'), '100%25');
  assert.equal(percentDecode('100% %zz %4'), '100% %zz %4');
  assert.equal(percentDecode('Zo%C3%AB'), 'Zoë');
  assert.equal(percentDecode('Zo%EB'), 'Zoë');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) =>
      assert.equal(percentDecode(encodeURIComponent(text)), text),
    ),
  );
});
