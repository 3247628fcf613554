/**
 * Calls as versions before told.ts stored them: what `tests/samples/stored-before.json` was made of, by importing and
 * posting all this with such a version (commit eae0bfe), stamps read as Europe/Berlin, accounts made in EUR, UTC, DE.
 */
import type { FormatName } from '#services/calls/formats/formats.ts';

interface ToldBefore {
  /** Of tests/samples, unless there is a text. */
  readonly file: string;
  readonly text?: string;
  readonly format: FormatName;
  readonly source?: string;
  readonly read: { readonly account?: string; readonly map?: readonly string[]; readonly mapName?: string };
}

const CARRIER_MAP = [
  ...['Call ID=call_id', 'Customer=account', 'From=cli', 'To=cld', 'Start (UTC)=start_time'],
  ...[
    'Answer (UTC)=connect_time',
    'Duration=duration_s',
    'Billed=billed_duration_s',
    'Price=cost',
    'Currency=currency',
  ],
];
/** A cdr_csv without uniqueid and userfield: 16 columns. */
const SHORT_MASTER = [
  '"acme","1001","+12025550143","from-internal","""Bob"" <1001>","PJSIP/1001-1","PJSIP/t-1","Dial","x","2026-03-02 09:04:54","2026-03-02 09:05:00","2026-03-02 09:05:42",48,42,"ANSWERED","DOCUMENTATION"',
  '"acme","1001","+12025550143","from-internal","""Bob"" <1001>","PJSIP/1001-2","PJSIP/t-2","Dial","x","2026-03-02 09:14:54",,"2026-03-02 09:15:42",48,0,"NO ANSWER","DOCUMENTATION"',
].join('\n');
/** One id told four times by other words, which made four calls then. */
const TWICE = [
  'Start,Secs,From,To,Price,Id',
  '2026-03-02 09:04:54,48,1002,+12025550143,0.025,x-1',
  '2026-03-02 09:04:54,48,1002,+12025550143,0.0250,x-1',
  '2026-03-02 09:04:54,48,1002,+12025550143,0.03,x-1',
  '2026-03-02 09:05:54,20,1002,+12025550143,,',
].join('\n');
const TWICE_MAP = ['Start=start_time', 'Secs=duration_s', 'From=cli', 'To=cld', 'Price=cost'];

export const TOLD_BEFORE: readonly ToldBefore[] = [
  { file: 'asterisk-master.csv', format: 'asterisk-csv', read: {} },
  { file: 'asterisk-custom-master.csv', format: 'asterisk-custom', read: {} },
  { file: 'short.csv', text: SHORT_MASTER, format: 'asterisk-csv', read: {} },
  { file: 'freeswitch-example.csv', format: 'freeswitch-example', read: {} },
  { file: 'freeswitch-asterisk.csv', format: 'freeswitch-asterisk', read: {} },
  { file: 'freeswitch-default.csv', format: 'freeswitch-default', read: {} },
  { file: 'freeswitch-json-cdr.json', format: 'freeswitch-json', read: {} },
  { file: 'freeswitch-json-encoded.json', format: 'freeswitch-json', read: {} },
  { file: 'cucm.csv', format: 'cisco-cucm', read: {} },
  { file: 'carrier.csv', format: 'mapped', read: { map: CARRIER_MAP, mapName: 'carrier' } },
  {
    file: 'twice.csv',
    text: TWICE,
    format: 'mapped',
    read: { account: 'acme', map: [...TWICE_MAP, 'Id=call_id'], mapName: 'twice' },
  },
  {
    file: 'no-ids.csv',
    text: TWICE,
    format: 'mapped',
    source: 'no-ids',
    read: { account: 'acme', map: TWICE_MAP, mapName: 'no-ids' },
  },
];

const CALL = {
  ...{ account: 'acme', cli: '+493023125001', cld: '+442079460001', start_time: '2026-03-02T09:00:00Z' },
  ...{ duration_s: 65, connect_time: '2026-03-02T09:00:05Z', disconnect_time: '2026-03-02T09:01:05Z' },
};
export const POSTED_BEFORE: readonly object[] = [
  { ...CALL, call_id: 'p-1' },
  { ...CALL, call_id: 'p-2', source_key: 'leg 1', cost: '0.1' },
  { ...CALL, call_id: 'p-2', source_key: 'leg 2', cost: '0.2' },
  { ...CALL, cost: 0.5 },
  { ...CALL, source_key: 'only this' },
  { ...CALL, call_id: 'p-3', connect_time: undefined, disconnect_time: undefined, result: 'answered' },
];
