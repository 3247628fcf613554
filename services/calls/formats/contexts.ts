/** Direction by the dialplan context in which a call entered the switch, or in which it ended. */
import type { Direction } from '../call_fields.ts';
import { isAnonymous } from '../numbers.ts';

/**
 * Contexts in which calls from outside arrive: FreePBX's from-trunk, from-pstn, from-did-direct and ext-did,
 * FreeSWITCH's public, and common names that people choose.
 */
export const INBOUND_CONTEXTS =
  /(?:^|[-_.])(?:from-(?:trunk|pstn|did|external|outside|zaptel|dahdi)|ext-did|inbound|incoming|public(?![a-z]))/i;

/**
 * FreePBX's own contexts within the switch: menus, applications, mailboxes, ring groups, queues, opening hours. A call
 * that ends there has reached the switch, whatever its destination is: s, i, t, hang, vmu1001, a digit that was
 * pressed. (Not ext-trunk, nor macro-dialout-trunk: from these a call leaves.)
 */
const INSIDE_CONTEXTS =
  /^(?:ivr-|app-|ext-(?:local|group|queues|findmefollow|fax|meetme|intercom|paging|cf|dnd|test)|timeconditions|from-queue|findmefollow|vm-)/i;

/** Digits that are no extension, however written. */
const TELEPHONE_NUMBER = /^(?:sips?:|tel:)?\+?(?:[ ()./-]*\d){7,}[ ()./-]*(?:@.*)?$/i;
const EXTENSION = /^[*#]{0,2}\d{1,6}$/;

/**
 * The direction by the context. Null where the context does not decide: then the numbers decide.
 * @param inbound contexts in which calls come in
 */
export function directionByContext(
  inbound: RegExp = INBOUND_CONTEXTS,
): (context: string, cli: string, cld: string) => Direction | null {
  // A global or sticky expression remembers its last position, and would miss every other row.
  const stateless = new RegExp(inbound.source, inbound.flags.replace(/[gy]/g, ''));
  return (context, cli, cld) => {
    if (stateless.test(context)) return 'inbound';
    if (!INSIDE_CONTEXTS.test(context) || TELEPHONE_NUMBER.test(cld)) return null;
    if (TELEPHONE_NUMBER.test(cli) || isAnonymous(cli)) return 'inbound';
    return EXTENSION.test(cli) ? 'internal' : null;
  };
}
