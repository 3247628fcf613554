/**
 * What joins the legs of a call (rings of a queue, transfers, bridged legs), and whether anybody else was on a leg. Read
 * from what the source told in a field of its own, or from the variables in which its switch tells it:
 *
 *   Asterisk     linkedid, the uniqueid of the channel that began it all (CDR(linkedid), cdr_csv's newcdrcolumns)
 *   FreeSWITCH   originating_leg_uuid and originator, which a leg has that another one dialled (switch_ivr_originate.c,
 *                switch_core_session.c); cc_member_session_uuid, which mod_callcenter gives an agent's leg
 *
 * Where a source tells neither, records with the same call id are legs of one call: Asterisk's uniqueid without linkedid,
 * CUCM's global call id, Avaya's Call ID. FreeSWITCH's call_uuid joins nothing: it is set back to the leg's own uuid when
 * a bridge ends. docs/decisions/0030 says why all this is so.
 */
import { isNone } from '../absent.ts';
import type { SourceRecord } from '../cdr.ts';
import type { Outcome } from '../outcome.ts';
import { plainName } from './legs.ts';

/** A longer one is no id, and joins nothing; among the attributes it stays. */
export const MAX_LINKED_ID = 255;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

type Attributes = Readonly<Record<string, string>>;

/** Names of attributes in small letters without signs: those that tell the call, the surest first. */
const LINKS = ['linkedid', 'ccmembersessionuuid', 'originatingleguuid', 'originator'];
/** The application that ran last. */
const APPS = ['lastapp', 'application'];
/** Who else was on it. */
const FAR_CHANNELS = [
  ...['dstchannel', 'destinationchannel', 'destchannel', 'bridgeuuid', 'bleguuid', 'bridgechannel'],
  ...['originatingleguuid', 'originator'],
];
const NAMES = new Set([...LINKS, ...APPS, ...FAR_CHANNELS]);

/** @returns what its source says of which call the record is a leg; '' where it says nothing */
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
/** What answers in place of the party that was dialled, whose channel may still be named. */
const MAILBOX_APPS = new Set(['voicemail', 'minivmrecord']);

/**
 * Whether the answer of a leg is the switch's own: of a queue in which the caller waited, a menu, a mailbox. Asterisk
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
  // What does not say what the channel did does not say that nobody else was there.
  if (app === undefined) return false;
  if (flags.includes('result_contradicted') || MAILBOX_APPS.has(app)) return true;
  if (MEETING_APPS.has(app) || DIALLING_APPS.has(app)) return false;
  return FAR_CHANNELS.every((name) => isNone(values?.get(name) ?? ''));
}

/** The values of NAMES; undefined where there are none. */
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
