/**
 * Finds the id that joins the legs of a call (rings of a queue, transfers, bridged legs), and whether another party was on
 * a leg. It comes from a field of the source, or from the variables in which a switch gives it:
 *
 *   Asterisk     linkedid, the uniqueid of the channel that began it all (CDR(linkedid), cdr_csv's newcdrcolumns)
 *   FreeSWITCH   originating_leg_uuid and originator, which a leg has that another leg dialled (switch_ivr_originate.c,
 *                switch_core_session.c); cc_member_session_uuid, which mod_callcenter gives an agent's leg
 *
 * Where a source gives neither, records with the same call id are legs of one call: Asterisk's uniqueid without linkedid,
 * CUCM's global call id, Avaya's Call ID. FreeSWITCH's call_uuid joins nothing: it is reset to the leg's own uuid when a
 * bridge ends. docs/decisions/0030 gives the reasons.
 */
import { isNone } from '../absent.ts';
import type { SourceRecord } from '../cdr.ts';
import type { Outcome } from '../outcome.ts';
import { plainName } from './legs.ts';

/** A longer text is no id, and joins nothing. It stays among the attributes. */
export const MAX_LINKED_ID = 255;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

type Attributes = Readonly<Record<string, string>>;

/** Names of attributes in small letters without signs: those that identify the call, the surest first. */
const LINKS = ['linkedid', 'ccmembersessionuuid', 'originatingleguuid', 'originator'];
/** The application that ran last. */
const APPS = ['lastapp', 'application'];
/** The other party on the leg. */
const FAR_CHANNELS = [
  ...['dstchannel', 'destinationchannel', 'destchannel', 'bridgeuuid', 'bleguuid', 'bridgechannel'],
  ...['originatingleguuid', 'originator'],
];
const NAMES = new Set([...LINKS, ...APPS, ...FAR_CHANNELS]);

/** @returns the call of the record, by its source; '' where the source gives none */
export function linkedIdOf({ linkedId, attributes }: Pick<SourceRecord, 'linkedId' | 'attributes'>): string {
  const told = linkedId ?? '';
  if (told !== '') return told.length <= MAX_LINKED_ID ? told : '';
  const values = valuesOf(attributes);
  if (values === undefined) return '';
  return (
    LINKS.map((name) => ({ name, value: values.get(name) ?? '' })).find(
      ({ name, value }) =>
        // A carrier may have a column for the originator, who is the caller.
        !isNone(value) && value.length <= MAX_LINKED_ID && (name === 'linkedid' || UUID.test(value)),
    )?.value ?? ''
  );
}

/** Asterisk's and FreeSWITCH's applications that bring another party onto a channel without another channel's name. */
const MEETING_APPS = new Set(['confbridge', 'meetme', 'conference', 'page']);
/** Applications that dial, where a source has no column for the channel that was dialled. */
const DIALLING_APPS = new Set(['dial', 'appdial', 'appqueue']);
/** Applications that answer in place of the dialled party, whose channel may still be named. */
const MAILBOX_APPS = new Set(['voicemail', 'minivmrecord']);

/**
 * Whether the answer of a leg is the switch's own: that of a queue in which the caller waited, a menu, a mailbox. Asterisk
 * writes the caller's own Answer() as the answer of every ring that follows it, with NO ANSWER beside it.
 */
export function isAnsweredBySwitch(
  { result, flags }: Pick<Outcome, 'result' | 'flags'>,
  attributes: Attributes,
): boolean {
  if (result !== 'answered') return false;
  const values = valuesOf(attributes);
  const app = APPS.map((name) => values?.get(name) ?? '')
    .find((name) => name !== '')
    ?.toLowerCase();
  // A record without the channel's application is no evidence that there was no other party.
  if (app === undefined) return false;
  if (flags.includes('result_contradicted') || MAILBOX_APPS.has(app)) return true;
  if (MEETING_APPS.has(app) || DIALLING_APPS.has(app)) return false;
  return FAR_CHANNELS.every((name) => isNone(values?.get(name) ?? ''));
}

/** The values of NAMES. Undefined where there are none. */
function valuesOf(attributes: Attributes): Map<string, string> | undefined {
  let values: Map<string, string> | undefined;
  for (const name in attributes) {
    const plain = plainName(name);
    if (!NAMES.has(plain) || values?.has(plain)) continue;
    values ??= new Map();
    values.set(plain, attributes[name]!.trim());
  }
  return values;
}
