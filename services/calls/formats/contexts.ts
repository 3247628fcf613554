/** Direction by the dialplan context in which a call entered the switch. */
import type { Direction } from '../cdr.ts';

/**
 * Contexts in which calls from outside arrive: FreePBX's from-trunk, from-pstn, from-did-direct and ext-did,
 * FreeSWITCH's public, and what people call their own.
 */
export const INBOUND_CONTEXTS =
  /(?:^|[-_.])(?:from-(?:trunk|pstn|did|external|outside|zaptel|dahdi)|ext-did|inbound|incoming|public(?![a-z]))/i;

/** Tells `inbound` for contexts that match, null (to be told from the numbers) for others. */
export function directionByContext(
  inbound: RegExp = INBOUND_CONTEXTS,
): (context: string) => Direction | null {
  // A global or sticky expression remembers where it stopped, and would miss every other row.
  const stateless = new RegExp(inbound.source, inbound.flags.replace(/[gy]/g, ''));
  return (context) => (stateless.test(context) ? 'inbound' : null);
}
