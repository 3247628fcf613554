/**
 * Legs: several records of one call share its id. A leg is distinguished from the others by a number or id of its own, if
 * its source has one under some name (Asterisk's `sequence`, CUCM's `pkid`, the `source_key` of a post). Otherwise the
 * destination, the channels, the application or CUCM's leg identifiers distinguish it. A source may lack some of them in
 * one file and have them in another (cdr_csv without its new columns has no `sequence`).
 */

/** Attributes that identify a leg alone, by name in small letters without signs. */
const LEG_IDS = ['sequence', 'pkid', 'sourcekey'];
/** Attributes that distinguish legs together with the destination. Those of one row are one thing by several names. */
const LEG_FIELDS = [
  ['channel', 'channelname'],
  ['dstchannel', 'destinationchannel', 'destchannel'],
  ['lastapp', 'application', 'app'],
  // Where no column is mapped to it.
  [
    'dst',
    'to',
    'callee',
    'called',
    'callednumber',
    'calledparty',
    'calledpartynumber',
    'destinationnumber',
    'dnis',
  ],
  ['origlegcallidentifier'],
  ['destlegidentifier', 'destlegcallidentifier'],
];
/** The bridged channel: FreeSWITCH may write a record for each, all with the leg's own uuid. */
const BRIDGES = [['bleguuid', 'bridgeuuid'], ['bridgechannel']];

export interface Leg {
  /** '' where the record has none. */
  readonly id: string;
  /** Its values for LEG_FIELDS; '' where it has none. */
  readonly fields: readonly string[];
  /** For BRIDGES. */
  readonly bridges: readonly string[];
}

const AFTER_FIELDS = LEG_FIELDS.length;
/** Where an attribute goes in a leg: -1 for the id, bridges behind the fields. */
const PLACES = new Map<string, number>([
  ...LEG_IDS.map((name): [string, number] => [name, -1]),
  ...[...LEG_FIELDS, ...BRIDGES].flatMap((names, place) =>
    names.map((name): [string, number] => [name, place]),
  ),
]);
/** From names as sources write them to small letters without signs. */
const plainNames = new Map<string, string>();
const MAX_KNOWN = 10_000;

/** An attribute's name, however written: in small letters without signs. */
export function plainName(name: string): string {
  const known = plainNames.get(name);
  if (known !== undefined) return known;
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (plainNames.size >= MAX_KNOWN) plainNames.clear();
  plainNames.set(name, plain);
  return plain;
}

export function legOf(attributes: Readonly<Record<string, string>>): Leg {
  let id = '';
  const fields = LEG_FIELDS.map(() => '');
  const bridges = BRIDGES.map(() => '');
  for (const name in attributes) {
    const place = PLACES.get(plainName(name));
    if (place === undefined) continue;
    const value = attributes[name]!.trim();
    if (place === -1) id ||= value.toLowerCase();
    else if (place < AFTER_FIELDS) fields[place] ||= value;
    else bridges[place - AFTER_FIELDS] ||= value;
  }
  return { id, fields, bridges };
}

/**
 * Whether two records of one call id are of the same leg.
 * @param sameDestination undefined where one of the two has none
 * @returns `perhaps` where nothing distinguishes them but one lacks a value of the other
 */
export function compareLegs(
  a: Leg,
  b: Leg,
  sameDestination: boolean | undefined,
): 'same' | 'perhaps' | 'other' {
  if (a.id !== '' && b.id !== '') return a.id === b.id ? 'same' : 'other';
  if (sameDestination === false) return 'other';
  let isSure = sameDestination === true;
  const others = [...b.fields, ...b.bridges];
  for (const [place, value] of [...a.fields, ...a.bridges].entries()) {
    const other = others[place]!;
    if (value === other) continue;
    if (value !== '' && other !== '') return 'other';
    isSure = false;
  }
  return isSure ? 'same' : 'perhaps';
}

/** Whether two records are of one bridge, as far as both say so. Their source gives each leg a call id of its own. */
export const compareBridges = (a: Leg, b: Leg): 'same' | 'other' =>
  a.bridges.every((value, place) => value === '' || b.bridges[place] === '' || value === b.bridges[place])
    ? 'same'
    : 'other';
