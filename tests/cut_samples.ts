/** Small files of every format, for what has to be tried at every byte of them. */
import { readFileSync } from 'node:fs';
import type { MappedField } from '#services/calls/call_fields.ts';
import type { FormatName } from '#services/calls/formats/formats.ts';
import { parseMapping } from '#services/calls/formats/mapping.ts';
import type { SourceOptions } from '#services/calls/formats/source_reader.ts';

export interface CutSample {
  readonly title: string;
  readonly format: FormatName;
  readonly read?: Partial<SourceOptions>;
  /** @param token five digits that stand in what its calls are known by, so that many such files are of other calls */
  bytes(token: string): Buffer;
}

/** Where the token stands. */
const T = '70000';

const sample = (
  title: string,
  format: FormatName,
  text: string,
  read: Partial<SourceOptions> = {},
  encode = (whole: string): Buffer => Buffer.from(whole),
): CutSample => ({ title, format, read, bytes: (token) => encode(text.replaceAll(T, token)) });

/** Some lines of a file of tests/samples, with short channels. */
function lines(file: string, from: number, to: number): string {
  const text = readFileSync(new URL(`samples/${file}`, import.meta.url), 'utf8');
  const some = `${text.split('\n').slice(from, to).join('\n')}\n`;
  return some
    .replaceAll(/(PJSIP|sofia)\/[^"]*/g, 'S')
    .replaceAll(/"(\d{10}\.\d)\d\d"/g, `"$1${T}"`)
    .replaceAll(/"([0-9a-f]{3})[0-9a-f]{5}(?=-[0-9a-f]{4}-)/g, `"$1${T}`);
}

const mapped = (
  title: string,
  text: string,
  columns: Record<string, MappedField>,
  encoding?: 'latin1' | 'utf16le',
): CutSample => {
  const pairs = Object.entries(columns).map(([column, field]) => `${column}=${field}`);
  const mapping = parseMapping(pairs, 'cut');
  return sample(title, 'mapped', text, { mapping }, (whole) => Buffer.from(whole, encoding));
};
const ISSUE = {
  Customer: 'account',
  From: 'cli',
  To: 'cld',
  Start: 'start_time',
  Secs: 'duration_s',
} as const;

function document(uuid: string, account: string, seconds: string): string {
  const times = { start_epoch: '1772440447', end_epoch: '1772440600', duration: seconds, billsec: seconds };
  const call = { uuid, accountcode: account, hangup_cause: 'NORMAL_CLEARING', caller_id: 'Zoë <1001>' };
  return JSON.stringify({ switchname: 'p', variables: { ...call, ...times } });
}
const xmlDocument = (uuid: string, account: string, seconds: string): string =>
  `<?xml version="1.0"?>\n<cdr switchname="p">\n <variables>\n  <uuid>${uuid}</uuid><accountcode>${account}</accountcode>` +
  `<hangup_cause>NORMAL_CLEARING</hangup_cause><caller_id>Zo%C3%AB</caller_id><start_epoch>1772440447</start_epoch>` +
  `<duration>${seconds}</duration><billsec>${seconds}</billsec>\n </variables>\n</cdr>\n`;
const XML_DOCUMENTS = [xmlDocument(`a${T}`, 'acme', '12'), xmlDocument(`b${T}`, 'beta', '125')];
const DOCUMENTS = [document(`a${T}`, 'acme', '12'), document(`b${T}`, 'beta', '125')];

const CUCM_HEADER = [
  ...['cdrRecordType', 'globalCallID_callManagerId', 'globalCallID_callId', 'dateTimeOrigination'],
  ...['callingPartyNumber', 'origCause_value', 'originalCalledPartyNumber', 'destCause_value'],
  ...['dateTimeConnect', 'dateTimeDisconnect', 'duration', 'pkid', 'clientMatterCode'],
];
const CUCM_TYPES =
  'INTEGER,INTEGER,INTEGER,INTEGER,VARCHAR(50),INTEGER,VARCHAR(50),INTEGER,INTEGER,INTEGER,INTEGER,UNIQUEIDENTIFIER,VARCHAR(50)';

export const CUT_SAMPLES: readonly CutSample[] = [
  sample('cdr_csv', 'asterisk-csv', lines('asterisk-master.csv', 0, 2)),
  sample(
    'cdr_csv with line ends of Windows and an account last',
    'asterisk-csv',
    lines('asterisk-master.csv', 1, 3).replaceAll('\n', '\r\n').replace('campaign=spring', 'Zoë & Co'),
    { accountField: 'userfield', account: 'nobody' },
  ),
  sample(
    "Asterisk's fields under a header",
    'asterisk-header',
    'calldate,clid,src,dst,dcontext,duration,billsec,disposition,uniqueid,accountcode\n' +
      `2026-03-02 08:37:13,"Zoë" <1001>,1001,442079460123,from-internal,193,184,ANSWERED,1772440633.1${T},acme\n` +
      `2026-03-02 09:04:54,""Sales, Bob" <1002>",1002,12025550143,from-internal,48,42,ANSWERED,1772442294.1${T},acme2\n`,
    { account: 'nobody' },
  ),
  sample('cdr_custom', 'asterisk-custom', lines('asterisk-custom-master.csv', 0, 2)),
  sample('FreeSWITCH, example', 'freeswitch-example', lines('freeswitch-example.csv', 0, 2)),
  sample('FreeSWITCH, asterisk', 'freeswitch-asterisk', lines('freeswitch-asterisk.csv', 0, 2)),
  sample(
    'FreeSWITCH, compiled in',
    'freeswitch-default',
    lines('freeswitch-default.csv', 0, 2).replaceAll('"acme"', 'acme north'),
  ),
  sample(
    'CUCM, the account last',
    'cisco-cucm',
    `${CUCM_HEADER.join()}\n${CUCM_TYPES}\n` +
      `1,2,1${T},1772442106,"1001",0,"+442079460123",16,1772442115,1772442299,184,b394${T},"acme"\n` +
      `1,2,2${T},1772442206,"1002",0,"+442079460124",16,1772442215,1772442219,4,b395${T},acme2\n`,
    { accountField: 'clientMatterCode', account: 'nobody' },
  ),
  mapped(
    'mapped, as the issue has it',
    `Customer,From,To,Start,Secs\nacme,${T},+442079460001,2026-11-02 09:00:00,5\nacme,${T},+442079460001,2026-11-02 10:00:00,125\n`,
    ISSUE,
  ),
  mapped(
    'mapped, the price last, no last line end',
    `From,To,Start,Secs,Price\n${T},+442079460001,2026-11-02 09:00:00,5,0.0250\n${T},+442079460001,2026-11-02 10:00:00,125,0.0250`,
    { From: 'cli', To: 'cld', Start: 'start_time', Secs: 'duration_s', Price: 'cost' },
  ),
  mapped(
    'mapped, the account last, call ids, letters of several bytes',
    `Id;From;To;Start;Secs;Customer\n1${T};1001;+442079460001;2026-11-02 09:00:00;5;Ängström\n2${T};1001;+442079460001;2026-11-02 10:00:00;12;"Zoë ""Z"" Ltd"\n`,
    { ...ISSUE, Id: 'call_id' },
  ),
  mapped(
    'mapped, in Latin-1, line ends of old Macs',
    `Customer,Note,From,To,Start,Secs,Place\rMüller,ä,${T},+442079460001,2026-11-02 09:00:00,5,Köln\rMüller,,${T},+442079460001,2026-11-02 10:00:00,12,Malmö\r`,
    ISSUE,
    'latin1',
  ),
  mapped(
    'mapped, in UTF-16',
    `\ufeffFrom\tTo\tStart\tSecs\tCustomer\r\n${T}\t+442079460001\t2026-11-02 09:00:00\t5\tZoë\r\n${T}\t+442079460001\t2026-11-02 10:00:00\t12\tZoë 😀 2\r\n`,
    ISSUE,
    'utf16le',
  ),
  mapped(
    'mapped, fields over several lines, blank lines, a mark, rows that are set aside',
    `\ufeffCustomer,From,To,Secs,Note,Start\r\nacme,${T},+442079460001,5,"one\r\n""two""\r\n",2026-11-02T09:00:00Z\r\n\r\nacme,${T},+442079460001,never,,2026-11-02T09:00:00Z\r\nacme,${T},+442079460001,12,"a\n\nb",2026-11-02T10:00:00+01:00\r\n"torn,1,${T}\r\n`,
    ISSUE,
  ),
  sample('documents, one a line', 'freeswitch-json', `${DOCUMENTS.join('\n')}\n`),
  sample('documents in an array, laid out', 'freeswitch-json', `[${DOCUMENTS.join(', ')}]`, {}, (whole) =>
    Buffer.from(JSON.stringify(JSON.parse(whole), null, 1)),
  ),
  sample('documents encoded for a URL', 'freeswitch-json', DOCUMENTS.join('\n'), {}, (whole) =>
    Buffer.from(
      whole
        .split('\n')
        .map((text) => `cdr=${encodeURIComponent(text)}\n`)
        .join(''),
    ),
  ),
  sample('XML documents', 'freeswitch-xml', XML_DOCUMENTS.join('')),
  sample(
    'SMDR, a call of two parts',
    'avaya-smdr',
    `2026/03/02 09:30:57,00:00:13,7,+442079460123,I,4750,042,acme,0,1${T},1,E4750,Zoë,T9002,L 1,11,0\n` +
      `2026/03/02 09:30:57,00:00:21,0,+442079460123,I,4750,042,acme,0,1${T},0,V9502,VM 2,T9002,L 1,0,10\n`,
    { account: 'nobody' },
  ),
  sample(
    'cdr.log of 3CX',
    '3cx-cdr',
    `Call 1,0C_1${T},00:00:42,2026/03/02 09:04:54,2026/03/02 09:05:00,2026/03/02 09:05:42,TerminatedBySrc,Ext.1002,Ext.1003,1002,1003,1003,,,,,,,,Chain: Ext.1002;Ext.1003;\n` +
      `Call 2,0C_2${T},,2026/03/02 09:06:54,,2026/03/02 09:06:59,Busy,Ext.1002,Ext.1003,1002,1003,1003,,,,,,,,Chain: Ext.1002;,Extension\n`,
    { account: 'nobody' },
  ),
  sample('XML documents encoded for a URL', 'freeswitch-xml', XML_DOCUMENTS.join(''), {}, (whole) =>
    Buffer.from(
      whole
        .split(/(?<=<\/cdr>\n)/)
        .map((text) => `cdr=${encodeURIComponent(text)}\n`)
        .join(''),
    ),
  ),
  sample('documents in base64', 'freeswitch-json', DOCUMENTS.join('\n'), {}, (whole) =>
    Buffer.from(
      whole
        .split('\n')
        .map((text) => Buffer.from(text).toString('base64'))
        .join('\n'),
    ),
  ),
];
