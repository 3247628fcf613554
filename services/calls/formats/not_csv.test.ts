import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { detectFormat, instead } from './detect.ts';
import { openSource } from './reader.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const noise = Buffer.from(Uint8Array.from({ length: 4000 }, (_, i) => (i * i * 31 + 7 * i) % 251));
const after = (begin: string, at: number) => Buffer.concat([Buffer.alloc(at), latin1(begin)]);

/** As iconv -t IBM037 writes it. */
function ebcdic(text: string): Buffer {
  const codes: Record<string, number> = { ' ': 0x40, ',': 0x6b, '-': 0x60, ':': 0x7a, '\n': 0x25 };
  return Buffer.from([...text].map((sign) => codes[sign] ?? 0xf0 + Number(sign)));
}

const FILES: [what: string, head: Buffer, said: RegExp][] = [
  ['a PDF', latin1('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj'), /a PDF; export the calls as CSV/],
  [
    'an xlsx',
    latin1(`PK\x03\x04\x14\0\x06\0[Content_Types].xml${'x'.repeat(200)}PK\x03\x04xl/workbook.xml`),
    /Excel \(xlsx\); save it as CSV/,
  ],
  [
    'an ods',
    latin1('PK\x03\x04\x14\0mimetypeapplication/vnd.oasis.opendocument.spreadsheetPK'),
    /LibreOffice \(ods\)/,
  ],
  ['a zip', latin1('PK\x03\x04\x14\0\0\0calls.csv'), /a zip archive; unpack it/],
  ['an xls', Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(500)]), /old Excel/],
  ['a PNG', latin1('\x89PNG\r\n\x1a\n\0\0\0\rIHDR'), /a picture \(PNG\)/],
  ['a JPEG', latin1('\xff\xd8\xff\xe0\0\x10JFIF'), /a picture \(JPEG\)/],
  ['a tar', after('ustar\x0000', 257), /a tar archive; unpack it/],
  ['gzip within gzip', gzipSync('a,b'), /gzip twice; unpack it/],
  ['bzip2', latin1('BZh91AY&SY\xff'), /bzip2; unpack it/],
  ['xz', latin1('\xfd7zXZ\0\0'), /packed with xz/],
  ['zstd', latin1('\x28\xb5\x2f\xfd\x04'), /zstd/],
  ['7z', latin1('7z\xbc\xaf\x27\x1c\0'), /a 7z archive/],
  ['SQLite', latin1('SQLite format 3\0\x10\0'), /a database of SQLite/],
  ['a capture', latin1('\xd4\xc3\xb2\xa1\x02\0\x04\0'), /capture of packets/],
  ['a capture of the other order', latin1('\xa1\xb2\xc3\xd4\0\x02\0\x04'), /capture of packets/],
  ['a Parquet file', latin1('PAR1\x15\x04\x15\x80'), /a Parquet file; export/],
  ['Arrow', latin1('ARROW1\0\0\xff\xff'), /Arrow/],
  ['Avro', latin1('Obj\x01\x04\x16avro.schema'), /Avro/],
  ['an empty zip', latin1(`PK\x05\x06${'\0'.repeat(18)}`), /zip archive with nothing in it/],
  ['lz4', latin1('\x04\x22\x4d\x18\x64'), /lz4; unpack it/],
  ['EBCDIC', ebcdic('2026-03-02 09:04:54,1002,2001,60\n2026-03-02 09:05:54,1003,2002,61\n'), /in EBCDIC/],
  ['EBCDIC without line ends', ebcdic('20260302090454 1002      2001      00060'.repeat(9)), /in EBCDIC/],
  ['CDRs of an exchange', Buffer.concat([Buffer.from('61820400a0800101', 'hex'), noise]), /ASN\.1/],
  ['UTF-32', Buffer.from('fffe0000610000002c000000', 'hex'), /UTF-32; save it as UTF-8/],
  ['no text at all', noise, /holds no text \(\d+ of its first 4000 bytes are control characters\)/],
  ['HTML', latin1('<!DOCTYPE html>\n<html><head><title>Calls, 2026</title>'), /an HTML page/],
  ['XML', latin1('<?xml version="1.0"?>\n<records><r a="1"/></records>'), /XML of an unknown form/],
  ['XML without a declaration', latin1('<calls>\n <call id="1"/>\n</calls>'), /XML/],
  ['JSON', latin1('[{"from":"1","to":"2"}]'), /JSON/],
  [
    'a dump of MySQL',
    latin1('-- MySQL dump 10.13\n--\nDROP TABLE IF EXISTS `cdr`;\nCREATE TABLE `cdr` (\n a int, b int);\n'),
    /in SQL/,
  ],
  [
    'a dump of PostgreSQL',
    latin1('--\n-- PostgreSQL database dump\n--\nSET x = 0;\nCOPY public.cdr (a, b) FROM stdin;\n1\t2\n'),
    /in SQL/,
  ],
  ['a statement', latin1("INSERT INTO cdr VALUES ('2026-03-02', 1);"), /in SQL/],
  ['an e-mail', latin1('From: a@example.com\nTo: b@example.com\n\nHello'), /an e-mail/],
  ['a table of mysql', latin1('+----+----+\n| a  | b  |\n+----+----+\n| 1  | 2  |\n'), /drawn with signs/],
  ['a table of psql', latin1(' a | b \n---+---\n 1 | 2\n(1 row)\n'), /psql --csv/],
  ['a table of Markdown', latin1('| a | b |\r\n|---|:--|\r\n| 1 | 2 |\r\n'), /drawn with signs/],
  ['a log of the system', latin1('Mar  2 09:00:00 pbx asterisk[1]: NOTICE\n'), /a log/],
  ['a log of Asterisk', latin1('[2026-03-02 09:00:00] NOTICE[123] chan_sip.c: x\n'), /a log/],
  ['a certificate', latin1('-----BEGIN CERTIFICATE-----\nMII\n'), /PEM/],
  ['a calendar', latin1('BEGIN:VCALENDAR\nVERSION:2.0\n'), /calendar/],
  ['a script', latin1('#!/bin/sh\necho\n'), /script/],
  ['an open quote', latin1('"Start,Secs,From,To\n1,2,3,4\n5,6,7,8\n'), /opens a quote that is not closed/],
];

for (const [what, head, said] of FILES) {
  test(`${what} is named for what it is, in a sentence that holds no file`, () => {
    const found = detectFormat(head);
    assert.equal(found.format, null);
    assert.match(found.why, said);
    assert.ok(found.why.length < 400, found.why);
    // And where the format was told; there a broken header is the reader's to tell.
    if (!/quote/.test(what)) assert.match(instead(head, 'mapped') ?? '', /^the file /);
  });
}

test('what is a table, or a document, is not taken for anything else', () => {
  const samples = [
    'asterisk-master.csv',
    'asterisk-custom-master.csv',
    'freeswitch-example.csv',
    'cucm.csv',
    'carrier.csv',
  ];
  for (const name of samples)
    assert.equal(
      instead(readFileSync(new URL(`../../../tests/samples/${name}`, import.meta.url)), 'mapped'),
      null,
      name,
    );
  const heads = [
    '',
    'Start;From\n',
    '<anonymous>,1002\n',
    '[Start],[From]\n',
    '"{x}",y\n',
    '-- calls --\na,b\n',
    '#Start,From\n',
    'a|b|c\n1|-|3\n',
    '-,-\n1,2\n',
  ];
  heads.push(
    'BZhours,To\n',
    'PAR1,PAR2\n',
    `a,b\n${'\0'.repeat(3000)}\nc,d\n`,
    'Begin;To\n1;2\n',
    'J\u00fc,\u0080\n',
  );
  for (const head of heads) {
    assert.equal(instead(Buffer.from(head), 'mapped'), null, head);
    assert.equal(instead(Buffer.from(head, 'latin1'), 'asterisk-custom'), null, head);
  }
  assert.equal(instead(latin1('{"variables":{}}'), 'freeswitch-json'), null);
});

test('a first line that is too long tells that the format is to be named', () => {
  const row = `"acme","${'1'.repeat(70_000)}"\n"acme","1"\n`;
  const { format, why } = detectFormat(Buffer.from(row));
  assert.equal(format, null);
  assert.match(why, /^the first line has more than 64 KiB.*--format asterisk-csv/);
});

test('Ctrl-Z at the end of a file, as programs of DOS write it, ends it quietly', () => {
  const folder = new URL('../../../tests/samples/', import.meta.url);
  const files = readdirSync(folder).filter((name) => /\.(csv|log)$/.test(name) && name !== 'carrier.csv');
  files.push('freeswitch-json-cdr.json', 'freeswitch-json-encoded.json');
  for (const name of files) {
    const whole = readFileSync(new URL(name, folder));
    const told = (bytes: Buffer) => {
      const { format } = detectFormat(bytes);
      assert.ok(format, name);
      const source = openSource(format, { timeZone: 'UTC' });
      const taken = [...bytes].flatMap((byte) => source.push(Buffer.from([byte])));
      return [...taken, ...source.end(true)].map(({ parsed }) => JSON.stringify(parsed));
    };
    const open = Buffer.from(whole.toString('latin1').trimEnd(), 'latin1');
    for (const ended of [
      Buffer.concat([whole, latin1('\x1a')]),
      Buffer.concat([whole, latin1('\x1a'.repeat(127))]),
      Buffer.concat([whole, latin1('\x1a\r\n')]),
      Buffer.concat([open, latin1('\x1a')]),
    ])
      assert.deepEqual(told(ended), told(whole), name);
    // As `copy a+b` puts files together.
    const twice = Buffer.concat([whole, latin1('\x1a'), whole]);
    assert.deepEqual(told(twice), [...told(whole), ...told(whole)], name);
  }
});

test('a header of hundreds of columns is told of by its first ones', () => {
  const header = Array.from({ length: 900 }, (_, i) => `column number ${i}`).join(',');
  const { why } = detectFormat(Buffer.from(`${header}\n${header.replaceAll('column', '1')}\n`));
  assert.match(why, /column number 0, .* and 870 more\); say which column/);
  assert.ok(why.length < 2000);
});
