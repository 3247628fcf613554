/**
 * FreeSWITCH's mod_json_cdr: a JSON document for each leg of a call (switch_ivr.c, `switch_ivr_generate_json_cdr`).
 *
 *   {"core-uuid":…, "switchname":…, "channel_data":{…}, "callStats":{…},
 *    "variables":{…},            what the channel knew at its end; with encode-values, on by default, URL-encoded
 *    "app_log":{…},
 *    "callflow":[{"caller_profile":{…}, "times":{…}, …}]}    newest first: a transfer puts a new one in front
 *
 * Whether the variables are encoded is told once for the document, from all of them: an encoded document has no blank,
 * colon or @ in any value (its stamps have `%20` and `%3A` instead), an unencoded one always has. So "100%25" in an
 * unencoded document stays as it is. (In an encoded one FreeSWITCH writes "100%" and "100%25" alike; it comes out as
 * "100%".)
 *
 * Times are read from the *_uepoch and *_epoch variables, or else from the call flow's times, all in UTC; the stamps
 * carry no zone and are not read. Durations are the whole seconds that FreeSWITCH bills, or where they are missing
 * those in ms or µs. Numbers are those of the newest caller profile, as in mod_cdr_csv.
 *
 * `direction` is FreeSWITCH's own view: an inbound leg is one that called the switch, be it a customer's telephone
 * (for the account an outbound call) or a carrier (an inbound one). So it says nothing of the account, and the numbers
 * decide; but an inbound leg that entered in a context for calls from outside is an inbound call.
 *
 * FreeSWITCH writes a document for each leg. Each is a record of the account that its accountcode names; where the
 * dialplan exports accountcode to the legs that it makes, both legs of a call are the account's, and log-b-leg="false"
 * is the setting that counts it once.
 *
 * A record's identity is its uuid, so a document that is posted again, or posted and also read from a file, is one.
 *
 * Of some 200 variables those in KEPT_VARIABLES become attributes; `variables_left_out` counts the others, which stay
 * in the switch's file. They are not kept whole because they hold keys of customers' accounts and dialled digits.
 */
import type { Parsed, RawRow, Rejection } from '../cdr.ts';
import { createCallClock } from '../time/stamps.ts';
import { resultOfHangupCause, resultOfQ850 } from './causes.ts';
import { directionByContext } from './contexts.ts';
import {
  attributesOf,
  badSeconds,
  namedTime,
  quoted,
  readCallerId,
  readSeconds,
  rejected,
  withBillingFlag,
} from './field_values.ts';
import { bytesToText, decodePostedCdr, faultPlace, percentDecode } from './freeswitch_post.ts';
import { createDocumentReader } from './json_documents.ts';
import type { SourceOptions, SourceReader, Taken } from './reader.ts';

/** How the call was routed, why and how it ended, how it sounded: what a support agent asks for. */
const KEPT_VARIABLES = [
  ...['channel_name', 'bridge_channel', 'bridge_uuid', 'originating_leg_uuid', 'originator', 'sip_call_id'],
  ...[
    'sip_from_user',
    'sip_from_host',
    'sip_to_user',
    'sip_to_host',
    'sip_req_user',
    'sip_P-Asserted-Identity',
  ],
  ...['sip_gateway_name', 'sofia_profile_name', 'user_name', 'domain_name', 'dialed_extension'],
  ...['effective_caller_id_name', 'effective_caller_id_number', 'last_app', 'last_arg'],
  ...['read_codec', 'write_codec', 'remote_media_ip'],
  ...['hangup_cause_q850', 'sip_term_status', 'sip_invite_failure_status', 'proto_specific_hangup_cause'],
  ...['sip_hangup_disposition', 'endpoint_disposition', 'originate_disposition', 'bridge_hangup_cause'],
  ...['mduration', 'billmsec', 'progressmsec', 'answermsec', 'waitmsec', 'hold_accum_ms'],
  ...['rtp_audio_in_packet_count', 'rtp_audio_out_packet_count', 'rtp_audio_in_jitter_loss_rate'],
  ...['rtp_audio_in_quality_percentage', 'rtp_audio_in_mos'],
] as const;
/** In the record itself. */
const IN_RECORD = new Set([
  ...[
    'uuid',
    'call_uuid',
    'accountcode',
    'hangup_cause',
    'duration',
    'billsec',
    'sip_user_agent',
    'sip_network_ip',
  ],
  ...['start_epoch', 'start_uepoch', 'answer_epoch', 'answer_uepoch', 'end_epoch', 'end_uepoch', 'direction'],
]);
const KEPT = new Set<string>(KEPT_VARIABLES);

/** A value of free text is cut to this length, so that a record stays small whatever a telephone sends. */
const MAX_VALUE_LENGTH = 500;
/** FreeSWITCH's own are 36 long; origination_uuid may set any. It stands in an index. */
const MAX_UUID_LENGTH = 200;

/** What encode-values never leaves in a value (switch_utils.h, SWITCH_URL_UNSAFE, and all that is not ASCII). */
const NEVER_IN_ENCODED = /[^!$'()*,\-./0-9A-Z_a-z~%]|%(?![0-9A-F]{2})/;
/** What only the encoder writes. %25 alone is no evidence: people write percentages. */
const ENCODED = /%(?!25)[0-9A-F]{2}/;
const DIGITS = /^\d*$/;

type Texts = Readonly<Record<string, string>>;

/** Reads files of one document or many. Time zone and date order are not used: the documents need none. */
export function createJsonReader(options: SourceOptions): SourceReader {
  let taken: Taken[] = [];
  const setAside = (row: RawRow, rejection: Rejection): void => {
    // What is set aside is kept for long: not at the price of the chunk that it stood in.
    const kept = { line: row.line, bytes: Buffer.from(row.bytes) };
    taken.push({ row: kept, parsed: { kind: 'rejected', rejection } });
  };
  const take = (row: RawRow, read: () => unknown): void => {
    let document: unknown;
    try {
      document = read();
    } catch (error) {
      setAside(row, { code: 'unreadable_row', reason: (error as Error).message });
      return;
    }
    const parsed = parseJsonCdr(document, options);
    if (parsed.kind === 'rejected') setAside(row, parsed.rejection);
    else if (parsed.kind === 'record') taken.push({ row, parsed });
  };
  const documents = createDocumentReader({
    document: (row) => take(row, () => parseText(bytesToText(row.bytes))),
    encoded: (row) => take(row, () => decodePostedCdr(row.bytes.toString('latin1'), '')),
    fault: setAside,
  });
  const give = (): Taken[] => {
    const given = taken;
    taken = [];
    return given;
  };
  return {
    columns: null,
    push(chunk) {
      documents.push(chunk);
      return give();
    },
    end() {
      documents.end();
      return give();
    },
  };
}

/** One document, parsed from JSON. Never throws, whatever the document is. */
export function parseJsonCdr(document: unknown, options: SourceOptions): Parsed {
  const top = objectOf(document);
  if (top === null || objectOf(top.variables) === null) {
    const reason = 'the document is not of mod_json_cdr: it has no object "variables"';
    return { kind: 'rejected', rejection: { code: 'unreadable_row', reason } };
  }
  const variables = textsOf(top.variables);
  const value = variableReader(variables);
  const flows = Array.isArray(top.callflow) ? top.callflow : [];
  const flow = objectOf(flows[0]);
  const profile = textsOf(flow?.caller_profile);
  const flowTimes = textsOf(flow?.times);

  const uuid = value('uuid') || (profile.uuid ?? '');
  if (uuid === '') return rejected('missing_field', 'uuid', 'the document has no variable uuid, its name');
  if (uuid.length > MAX_UUID_LENGTH) {
    return rejected('bad_value', 'uuid', `uuid has ${uuid.length} characters, more than ${MAX_UUID_LENGTH}`);
  }

  const start = value('start_uepoch') || value('start_epoch') || (flowTimes.created_time ?? '');
  const connect = value('answer_uepoch') || value('answer_epoch') || (flowTimes.answered_time ?? '');
  const disconnect = value('end_uepoch') || value('end_epoch') || (flowTimes.hangup_time ?? '');
  for (const [name, epoch] of [
    ['start_uepoch', start],
    ['answer_uepoch', connect],
    ['end_uepoch', disconnect],
  ] as const) {
    if (DIGITS.test(epoch)) continue;
    return rejected('bad_time', name, `${name} is ${quoted(epoch)}; it should be microseconds since 1970`);
  }
  const times = createCallClock('UTC').resolve({ start, connect, disconnect, durationS: 0 });
  if (times.kind === 'rejected') {
    return namedTime(times.rejection, {
      start: 'start_uepoch',
      connect: 'answer_uepoch',
      disconnect: 'end_uepoch',
    });
  }
  const { startTime, connectTime, disconnectTime } = times;

  const wholeMs = (disconnectTime ?? startTime) - startTime;
  const duration = readDuration(value, ['duration', 'mduration', 'uduration'], wholeMs);
  if (typeof duration === 'object') return duration;
  const talkMs = connectTime === null || disconnectTime === null ? 0 : disconnectTime - connectTime;
  const billed = readDuration(value, ['billsec', 'billmsec', 'billusec'], talkMs);
  if (typeof billed === 'object') return billed;

  const cause = value('hangup_cause');
  const q850 = value('hangup_cause_q850');
  const unanswered =
    cause === '' && /^\d{1,3}$/.test(q850) ? resultOfQ850(Number(q850)) : resultOfHangupCause(cause);
  const isAnswered = connectTime !== null || billed > 0;
  if (unanswered === null && !isAnswered) {
    const is = cause === '' ? 'missing' : quoted(cause);
    return rejected(
      cause === '' ? 'missing_field' : 'bad_value',
      'hangup_cause',
      `hangup_cause is ${is}; it should be FreeSWITCH's name for how the call ended, such as NORMAL_CLEARING`,
    );
  }

  const entry = textsOf(objectOf(flows.at(-1))?.caller_profile);
  const leg = value('direction') || (textsOf(top.channel_data).direction ?? '');
  const isFromOutside = directionByContext(options.inboundContexts)(entry.context ?? '') === 'inbound';
  const accountField = options.accountField ?? 'accountcode';
  const account = value(accountField) || (profile[accountField] ?? '') || (textsOf(top)[accountField] ?? '');
  const userAgent = value('sip_user_agent');
  const remoteIp = value('sip_network_ip') || value('sip_received_ip') || (profile.network_addr ?? '');
  return {
    kind: 'record',
    record: {
      accountCode: account || (options.account ?? ''),
      callId: uuid,
      identity: uuid,
      cli: profile.caller_id_number || readCallerId(value('caller_id')).number || value('sip_from_user'),
      cld:
        profile.destination_number ||
        value('destination_number') ||
        value('sip_to_user') ||
        value('sip_req_user'),
      direction: leg === 'inbound' && isFromOutside ? 'inbound' : null,
      startTime,
      connectTime,
      disconnectTime,
      durationS: duration,
      billedDurationS: billed,
      result: isAnswered ? 'answered' : unanswered!,
      disconnectCause: cause || q850 || null,
      country: null,
      description: null,
      cost: null,
      currency: null,
      remoteIp: cut(remoteIp) || null,
      userAgent: cut(userAgent) || null,
      flags: withBillingFlag(times.flags, duration, billed),
      attributes: attributesOf([
        ['switchname', cut(textsOf(top).switchname ?? '')],
        ['channel_direction', cut(leg)],
        ['context', cut(profile.context ?? '')],
        ['caller_id_name', cut(profile.caller_id_name ?? '')],
        ...KEPT_VARIABLES.map((name): [string, string] => [name, cut(value(name))]),
        ['variables_left_out', countLeftOut(variables)],
      ]),
    },
  };
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`the document is no JSON${faultPlace(error)}`);
  }
}

/** A variable as the channel knew it, encode-values undone; '' where there is none. */
function variableReader(variables: Texts): (name: string) => string {
  const values = Object.values(variables);
  const isEncoded =
    !values.some((value) => NEVER_IN_ENCODED.test(value)) && values.some((value) => ENCODED.test(value));
  if (!isEncoded) return (name) => variables[name] ?? '';
  // Most variables are never asked for, so they are decoded when they are.
  return (name) => percentDecode(variables[name] ?? '');
}

/** The first of three variables that is there: seconds, milliseconds, microseconds; else what the times say. */
function readDuration(
  value: (name: string) => string,
  names: readonly [seconds: string, ms: string, us: string],
  elseMs: number,
): number | Parsed {
  let perSecond = 1;
  for (const name of names) {
    const written = value(name);
    if (written !== '') {
      const amount = readSeconds(written);
      return amount >= 0 ? amount / perSecond : badSeconds(name, written);
    }
    perSecond *= 1000;
  }
  return Math.max(0, elseMs) / 1000;
}

function countLeftOut(variables: Texts): string {
  const count = Object.keys(variables).filter((name) => !KEPT.has(name) && !IN_RECORD.has(name)).length;
  return count === 0 ? '' : String(count);
}

function cut(value: string): string {
  return value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH - 1).toWellFormed()}…` : value;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

/** An object's texts, and its numbers as texts; what else it holds is left out. */
function textsOf(value: unknown): Texts {
  const texts: Record<string, string> = Object.create(null);
  for (const [name, entry] of Object.entries(objectOf(value) ?? {})) {
    if (typeof entry === 'string') texts[name] = entry;
    else if (typeof entry === 'number') texts[name] = String(entry);
  }
  return texts;
}
