/** Recognises by its first bytes a file that is no table of calls, and says what to do with it. */

/** The bytes at a place of the file, and the kind of such files. */
const MARKS: readonly (readonly [mark: string, what: string, at?: number])[] = [
  ['%PDF-', 'a PDF'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'a workbook of an old Excel, or another old document of Office'],
  ['\x89PNG\r\n\x1a\n', 'a picture (PNG)'],
  ['\xff\xd8\xff', 'a picture (JPEG)'],
  ['GIF89a', 'a picture (GIF)'],
  ['GIF87a', 'a picture (GIF)'],
  ['SQLite format 3\0', 'a database of SQLite'],
  ['PAR1\x15', 'a Parquet file'],
  ['ARROW1\0\0', 'an Arrow file (Feather)'],
  ['Obj\x01', 'an Avro file'],
  ['ORC\x0a\x12', 'an ORC file'],
  ['\0\x01\0\0Standard ', 'a database of Access'],
  ['Salted__', 'encrypted (openssl)'],
  ['{\\rtf', 'a document of a word processor (RTF)'],
  ['\xd4\xc3\xb2\xa1', 'a capture of packets (pcap)'],
  ['\xa1\xb2\xc3\xd4', 'a capture of packets (pcap)'],
  ['\x4d\x3c\xb2\xa1', 'a capture of packets (pcap)'],
  ['\x4d\x3c\x2b\x1a', 'a capture of packets (pcapng)', 8],
  ['\x7fELF', 'a program'],
  ['MZ\x90', 'a program'],
];
/** Files that must be unpacked. */
const PACKED: readonly (readonly [mark: string, what: string, at?: number])[] = [
  ['ustar', 'a tar archive', 257],
  ['1AY&SY', 'packed with bzip2', 4],
  ['\xfd7zXZ\0', 'packed with xz'],
  ['\x28\xb5\x2f\xfd', 'packed with zstd'],
  ['7z\xbc\xaf\x27\x1c', 'a 7z archive'],
  ['Rar!\x1a\x07', 'a RAR archive'],
  ['\x1f\x8b', 'packed with gzip twice'],
  ['\x1f\x9d', 'packed with compress'],
  ['\x04\x22\x4d\x18', 'packed with lz4'],
  ['LZIP\x01', 'packed with lzip'],
  ['PK\x05\x06', 'a zip archive with nothing in it'],
  ['PK\x07\x08', 'a zip archive in parts'],
];
const ZIP = 'PK\x03\x04';
/** Parts of documents that are zip archives. */
const IN_ZIP: readonly (readonly [part: string, what: string])[] = [
  ['mimetypeapplication/vnd.oasis.opendocument.spreadsheet', 'a workbook of LibreOffice (ods)'],
  ['mimetypeapplication/vnd.oasis', 'a document of LibreOffice'],
  ['xl/', 'a workbook of Excel (xlsx)'],
  ['word/', 'a document of Word (docx)'],
  ['[Content_Types].xml', 'a document of Office, perhaps a workbook of Excel (xlsx)'],
];

const EXPORT = 'export the calls as CSV and import that';
const UNPACK = 'unpack it and import what is in it';
/** The share of control characters among a text's characters. */
const MAX_CONTROL_SHARE = 0.05;
const LOOKED_AT_BYTES = 4096;

/** The share of bytes that a table in EBCDIC may have, and of its digits. Latin and Cyrillic texts have ASCII blanks, digits and line ends. */
const MIN_EBCDIC_SHARE = 0.9;
const MIN_DIGIT_SHARE = 0.15;
const EBCDIC_CONTROLS = [0x05, 0x0c, 0x0d, 0x15, 0x25];

/** A sentence for people. Null: nothing shows that the file is no text. */
export function binaryKind(head: Buffer): string | null {
  const begin = head.toString('latin1', 0, LOOKED_AT_BYTES);
  const hasMark = ([mark, , at = 0]: readonly [string, string, number?]) => begin.startsWith(mark, at);
  const packed = PACKED.find(hasMark);
  if (packed) return `the file is ${packed[1]}; ${UNPACK}`;
  if (begin.startsWith(ZIP)) {
    const part = IN_ZIP.find(([name]) => begin.includes(name));
    return part
      ? `the file is ${part[1]}; save it as CSV and import that`
      : `the file is a zip archive; ${UNPACK}`;
  }
  const kind = MARKS.find(hasMark);
  if (kind) return `the file is ${kind[1]}; ${EXPORT}`;
  if (begin.startsWith('\xff\xfe\0\0') || begin.startsWith('\0\0\xfe\xff'))
    return 'the file is in UTF-32; save it as UTF-8 and import that';
  if (isEbcdic(begin))
    return 'the file is in EBCDIC, the alphabet of mainframes; convert it (iconv -f IBM037 -t UTF-8, dd conv=ascii) and import that';
  // NUL bytes are what a crash of the machine leaves in a text; tabs, line ends and form feeds are its own.
  const controls = [...begin].filter(isControl).length;
  if (controls <= begin.length * MAX_CONTROL_SHARE) return null;
  if (isPerhapsBer(head)) return `the file is binary, perhaps CDRs in ASN.1 (TAP, 3GPP); ${EXPORT}`;
  return `the file holds no text (${controls} of its first ${begin.length} bytes are control characters); ${EXPORT}`;
}

function isEbcdic(begin: string): boolean {
  const share = (is: (code: number) => boolean) =>
    [...begin].filter((sign) => is(sign.charCodeAt(0))).length / begin.length;
  if (share((code) => code >= 0xf0 && code <= 0xf9) < MIN_DIGIT_SHARE) return false;
  return (
    share((code) => (code >= 0x40 && code <= 0xf9) || EBCDIC_CONTROLS.includes(code)) >= MIN_EBCDIC_SHARE
  );
}

/** A tag of several values, with a length of the long form behind. */
const isPerhapsBer = ([tag = 0, length = 0]: Buffer): boolean =>
  (tag & 0x20) !== 0 && length >= 0x80 && length <= 0x84;

/** Not those from 0x80 on: they are letters of UTF-8 and of Windows-1252. */
function isControl(sign: string): boolean {
  const code = sign.charCodeAt(0);
  return (code > 0 && code < 32 && !'\t\n\f\r\x1b'.includes(sign)) || code === 127;
}

const TEXTS: readonly (readonly [RegExp, string])[] = [
  [/^<!doctype html|^<html|^<(?:head|body|table|div)\b/i, `an HTML page; ${EXPORT}`],
  [/^<\?xml|^<[a-z][^,;\t]*>\s*(?:<|[^,;\t<]*<\/)/i, `XML of an unknown form; ${EXPORT}`],
  [
    /^(?:cdr=)?\s*(?:\{\s*"|\[\s*[[{])/,
    'JSON of an unknown form; post such records with the field names of the API (docs/API.md), or export the calls as CSV',
  ],
  [
    /^(?:--|\/\*|SET |BEGIN|PRAGMA |USE |DROP )[^,]*\n[\s\S]*\b(?:CREATE TABLE|INSERT INTO|COPY [\w."]+ ?\()|^(?:INSERT INTO|CREATE TABLE|COPY [\w."]+ ?\()/i,
    'a dump of a database in SQL; restore it, select its calls into a CSV and import that',
  ],
  [
    /^\+-[-+]*\+\r?\n\||^[^\n]*\|[^\n]*\n[-+|: ]*-[-+|][-+|: ]*\r?\n/,
    `a table drawn with signs, as mysql and psql show one; write it as CSV (psql --csv, mysql --batch) and import that`,
  ],
  [/^-----BEGIN /, 'a key, a certificate or encrypted (PEM)'],
  [/^BEGIN:V(?:CARD|CALENDAR)/i, `an address book or a calendar; ${EXPORT}`],
  [/^#!\s*\//, 'a script'],
  [
    /^(?:\[[\d: .,-]{15,30}\] [A-Z]+\[|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w./-]+(?:\[\d+\])?: )/,
    `a log of a program; ${EXPORT}`,
  ],
  [
    /^(?:From|Received|Return-Path|Message-ID|MIME-Version): .*\n[\w-]+: /i,
    'an e-mail; save what is attached to it',
  ],
];

/** The same for texts that are no table. @param text of the first bytes, without a byte-order mark */
export function textKind(text: string): string | null {
  const begin = text.trimStart().slice(0, LOOKED_AT_BYTES);
  const kind = TEXTS.find(([pattern]) => pattern.test(begin));
  return kind ? `the file is ${kind[1]}` : null;
}
