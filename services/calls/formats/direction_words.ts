/** Direction by the word that a source uses for it. */
import { DIRECTIONS, type Direction } from '../call_fields.ts';

/** In small letters, without blanks, hyphens and underscores, and without `call` or `calls` at the end. */
const WORDS = new Map<string, Direction>([
  ...DIRECTIONS.map((direction): [string, Direction] => [direction, direction]),
  ...wordsFor('outbound', [
    'out',
    'outgoing',
    'o',
    'originating',
    'originated',
    'mo',
    'placed',
    'dialed',
    'made',
  ]),
  ...wordsFor('outbound', ['dialled', 'egress', 'outboundapi', 'outbounddial', 'clicktocall']),
  ...wordsFor('inbound', ['in', 'incoming', 'i', 'terminating', 'terminated', 'mt', 'received', 'ingress']),
  ...wordsFor('internal', ['local', 'intern', 'intercom', 'extension', 'exttoext', 'station']),
  // Twilio's SIP trunks take the carrier's view: a call that terminates at Twilio's network leaves the customer's.
  ...wordsFor('outbound', ['trunkingterminating']),
  ...wordsFor('inbound', ['trunkingoriginating']),
]);

function wordsFor(direction: Direction, words: readonly string[]): [string, Direction][] {
  return words.map((word) => [word, direction]);
}

const MAX_WORD_LENGTH = 40;

/**
 * Undefined: an unknown word. The call is stored all the same. Its direction then follows from the numbers, with the
 * flag `direction_unknown`.
 */
export function readDirection(text: string): Direction | undefined {
  if (text.length > MAX_WORD_LENGTH) return undefined;
  const word = text.toLowerCase().replace(/[\s_-]/g, '');
  return WORDS.get(word) ?? WORDS.get(word.replace(/calls?$/, ''));
}
