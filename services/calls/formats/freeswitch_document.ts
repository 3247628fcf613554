/**
 * A leg of a call as FreeSWITCH describes it at its end (switch_ivr.c, `switch_ivr_generate_json_cdr` and
 * `switch_ivr_generate_xml_cdr`: the same values in two syntaxes). This file makes a record of it.
 *
 * Times come from the *_uepoch and *_epoch variables, or else from the call flow's times, all in UTC. The stamps have no
 * zone and are not used. Durations are the whole seconds that FreeSWITCH bills, or where these are missing those in ms or
 * µs. Numbers are those of the newest caller profile, as in mod_cdr_csv.
 *
 * `direction` is FreeSWITCH's own view: an inbound leg is one that called the switch. Its caller may be a customer's
 * telephone (for the account an outbound call) or a carrier (an inbound one). So `direction` says nothing of the account,
 * and the numbers decide. But an inbound leg that entered in a context for calls from outside is an inbound call.
 *
 * FreeSWITCH writes a document for each leg. Each is a record of the account that its accountcode names. If the dialplan
 * exports accountcode to the legs that it makes, both legs of a call belong to the account; the setting
 * log-b-leg="false" counts the call once.
 *
 * A record's identity is its uuid. So a document is stored once, also if it is posted again, read from a file besides, or
 * written by both mod_json_cdr and mod_xml_cdr.
 *
 * Of some 200 variables those in KEPT_VARIABLES become attributes. `variables_left_out` counts the others, which stay in
 * the switch's file. They are not kept whole because they hold keys of customers' accounts and dialled digits.
 */
import { given, givenFigure, isNone } from '../absent.ts';
import type { Parsed, SourceRecord } from '../cdr.ts';
import { secondsBetween } from '../outcome.ts';
import { createCallClock } from '../time/stamps.ts';
import { readCallerId } from './caller_id.ts';
import { hangupCauseIn, readHangupCause } from './causes.ts';
import { directionByContext } from './contexts.ts';
import {
  attributesOf,
  badSeconds,
  NOT_TOLD,
  namedTime,
  quoted,
  readSeconds,
  rejected,
} from './field_values.ts';
import { rowText } from './normal_values.ts';
import type { SourceOptions } from './source_reader.ts';

export type Texts = Readonly<Record<string, string>>;

/** A document without its syntax. */
export interface FreeswitchDocument {
  /** The values at its top: core-uuid, switchname. */
  readonly top: Texts;
  readonly channelDirection: string;
  /** In the document's encoding, which `written` undoes. */
  readonly variables: Texts;
  /** A variable as the channel knew it; '' where the document lacks it. */
  written(name: string): string;
  /** Newest first: a transfer puts a new one in front. */
  readonly flows: readonly { readonly profile: Texts; readonly times: Texts }[];
}

/** How the call was routed, why and how it ended, and its sound quality: the questions of a support agent. */
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
  ...['cc_member_session_uuid', 'cc_queue', 'cc_agent'],
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
export const IN_RECORD: ReadonlySet<string> = new Set([
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

/** A free text is cut to this length, so that a record stays small whatever a telephone sends. */
const MAX_VALUE_LENGTH = 500;
/** FreeSWITCH's own uuids have 36 characters; origination_uuid may set any. The uuid stands in an index. */
const MAX_UUID_LENGTH = 200;

const DIGITS = /^\d*$/;

/** Never throws, whatever the document holds. */
export function recordOfDocument(document: FreeswitchDocument, options: SourceOptions): Parsed {
  const { flows } = document;
  const written = (name: string): string => document.written(name);
  const value = (name: string): string => given(written(name));
  const figure = (name: string): string => givenFigure(written(name));
  const writtenProfile = flows[0]?.profile ?? {};
  const profile = givenTexts(writtenProfile);
  const times = givenTexts(flows[0]?.times ?? {});

  const uuid = figure('uuid') || givenFigure(profile.uuid ?? '');
  if (uuid === '') return rejected('missing_field', 'uuid', 'the document has no variable uuid, its name');
  if (uuid.length > MAX_UUID_LENGTH) {
    return rejected('bad_value', 'uuid', `uuid has ${uuid.length} characters, more than ${MAX_UUID_LENGTH}`);
  }

  const start = figure('start_uepoch') || figure('start_epoch') || givenFigure(times.created_time ?? '');
  const connect = figure('answer_uepoch') || figure('answer_epoch') || givenFigure(times.answered_time ?? '');
  const disconnect = figure('end_uepoch') || figure('end_epoch') || givenFigure(times.hangup_time ?? '');
  for (const [name, epoch] of [
    ['start_uepoch', start],
    ['answer_uepoch', connect],
    ['end_uepoch', disconnect],
  ] as const) {
    if (DIGITS.test(epoch)) continue;
    return rejected('bad_time', name, `${name} is ${quoted(epoch)}; it should be microseconds since 1970`);
  }
  const instants = createCallClock('UTC').resolve({ start, connect, disconnect, durationS: 0 });
  if (instants.kind === 'rejected') {
    return namedTime(instants.rejection, {
      start: 'start_uepoch',
      connect: 'answer_uepoch',
      disconnect: 'end_uepoch',
    });
  }
  const { startTime, connectTime, disconnectTime } = instants;

  const told = readDuration(figure, ['duration', 'mduration', 'uduration']);
  if (isRefusal(told)) return told;
  const durationS = told ?? secondsBetween(startTime, disconnectTime ?? startTime);
  const billedDurationS = readDuration(figure, ['billsec', 'billmsec', 'billusec']);
  if (isRefusal(billedDurationS)) return billedDurationS;

  const cause = hangupCauseIn(written('hangup_cause'));
  const q850 = figure('hangup_cause_q850');
  const toldCause = readHangupCause(cause || q850);

  const entry = flows.at(-1)?.profile ?? {};
  const leg = value('direction') || document.channelDirection;
  const cli = profile.caller_id_number || readCallerId(value('caller_id')).number || value('sip_from_user');
  const cld =
    profile.destination_number ||
    value('destination_number') ||
    value('sip_to_user') ||
    value('sip_req_user');
  const isFromOutside =
    directionByContext(options.inboundContexts)(entry.context ?? '', cli, cld) === 'inbound';
  const accountField = options.accountField ?? 'accountcode';
  const codes = [written(accountField), writtenProfile[accountField] ?? '', document.top[accountField] ?? ''];
  const userAgent = value('sip_user_agent');
  const remoteIp =
    figure('sip_network_ip') || figure('sip_received_ip') || givenFigure(profile.network_addr ?? '');
  const said: Omit<SourceRecord, 'alsoSays'> = {
    ...NOT_TOLD,
    accountCode: codes.find((code) => !isNone(code)) ?? codes.find((code) => code !== '') ?? '',
    callId: uuid,
    identity: uuid,
    wholeRow: '',
    cli,
    cld,
    direction: leg === 'inbound' && isFromOutside ? 'inbound' : null,
    startTime,
    connectTime,
    disconnectTime,
    durationS,
    ...(told === null && { durationInferred: true as const }),
    billedDurationS,
    resultWord: toldCause.resultWord,
    result: null,
    disconnectCause: cause || q850 || null,
    causeResult: toldCause.causeResult,
    tellsAnswers: true,
    remoteIp: cut(remoteIp) || null,
    userAgent: cut(userAgent) || null,
    flags: instants.flags,
    attributes: attributesOf([
      ['switchname', cut(document.top.switchname ?? '')],
      ['channel_direction', cut(leg)],
      ['context', cut(profile.context ?? '')],
      ['caller_id_name', cut(profile.caller_id_name ?? '')],
      ...KEPT_VARIABLES.map((name): [string, string] => [name, cut(value(name))]),
      ['variables_left_out', countLeftOut(document.variables)],
    ]),
  };
  return { kind: 'record', record: { ...said, alsoSays: allThatIsSaid(said, value('accountcode')) } };
}

/** All fields but those that the options decide. The account is as in the document. */
function allThatIsSaid(record: Omit<SourceRecord, 'alsoSays'>, accountcode: string): string {
  const { accountCode: _, direction: __, attributes, ...rest } = record;
  return rowText([accountcode, ...Object.values(rest).map(String), ...Object.entries(attributes).flat()]);
}

/** Seconds by the first of three variables that is present: seconds, milliseconds, microseconds. Null: all are missing. */
function readDuration(
  value: (name: string) => string,
  names: readonly [seconds: string, ms: string, us: string],
): number | null | Parsed {
  let perSecond = 1;
  for (const name of names) {
    const written = value(name);
    if (written !== '') {
      const amount = readSeconds(written);
      return amount >= 0 ? amount / perSecond : badSeconds(name, written);
    }
    perSecond *= 1000;
  }
  return null;
}

const isRefusal = (read: number | null | Parsed): read is Parsed => typeof read === 'object' && read !== null;

function countLeftOut(variables: Texts): string {
  let count = 0;
  // mod_xml_cdr writes blank ones too, mod_json_cdr does not.
  for (const name in variables)
    if (variables[name] !== '' && !KEPT.has(name) && !IN_RECORD.has(name)) count++;
  return count === 0 ? '' : String(count);
}

function cut(value: string): string {
  return value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH - 1).toWellFormed()}…` : value;
}

/** Without those that mean "none". */
function givenTexts(texts: Texts): Texts {
  return Object.fromEntries(Object.entries(texts).filter(([, text]) => !isNone(text)));
}
