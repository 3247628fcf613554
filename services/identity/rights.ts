/**
 * Who may do what, and to whose: the one table of rights, and the rule that turns it into an answer.
 *
 *   200   allowed
 *   403   the caller sees the organization, and has not this right in it
 *   404   the caller does not see the organization: its objects do not exist for the caller
 *
 * docs/RIGHTS.md is derived from the table.
 */
import {
  MACHINE_SCOPES,
  type MachineScope,
  ORGANIZATION_ROLES,
  PROVIDER_ROLES,
  type Role,
} from './contract.ts';

/** What can be done. The part before the point is what it is done to. */
export const RIGHTS = {
  'calls.read': 'calls and consumption',
  'calls.write': 'posts and imports calls',
  'numbers.read': 'sees telephone numbers whole; without it they are masked',
  'cost.read': 'what calls cost, and spend',
  'exports.read': 'takes files of calls and consumption',
  'orders.read': 'orders of the organization',
  'orders.write': 'places, changes and ends orders',
  'invoices.read': 'invoices of the organization',
  'webhooks.read': 'webhooks of the organization',
  'webhooks.write': 'makes, changes and ends webhooks',
  'own_keys.write': 'makes and revokes keys of its own',
  'keys.read': 'the list of all keys of the organization',
  'keys.write': 'makes and revokes all keys of the organization',
  'people.read': 'people of the organization and their roles',
  'people.write': 'invites people, changes roles, ends memberships',
  'organizations.write': 'makes and changes organizations below',
  'messages.send': 'sends messages to people',
  'system.write': "the provider's own: breakers, templates, deliveries",
} as const;
export type Right = keyof typeof RIGHTS;

/** A role of a person, or the scope of a machine. Operator and support are the same for both. */
export const WHO = [...new Set([...PROVIDER_ROLES, ...ORGANIZATION_ROLES, ...MACHINE_SCOPES])] as const;
export type Who = Role | MachineScope;

/** Where an object's organization stands, seen from the caller's: the same, below it, or anywhere else. */
export const RELATIONS = ['own', 'below', 'other'] as const;
export type Relation = (typeof RELATIONS)[number];

interface Grant {
  /** Organizations that are seen. */
  readonly sees: 'all' | 'own and below';
  /** Whether it may write below its own organization, too. Reading reaches there for everybody. */
  readonly writesBelow: boolean;
  readonly rights: readonly Right[];
}

const ALL = Object.keys(RIGHTS) as Right[];
const isRead = (right: Right) => right.endsWith('.read');
/** What only the provider and its machines do. */
const OF_THE_PROVIDER: readonly Right[] = ['calls.write', 'messages.send', 'system.write'];

const GRANTS: Readonly<Record<Who, Grant>> = {
  operator: { sees: 'all', writesBelow: true, rights: ALL },
  support: {
    sees: 'all',
    writesBelow: false,
    rights: ALL.filter((right) => isRead(right) && right !== 'numbers.read'),
  },
  owner: {
    sees: 'own and below',
    writesBelow: true,
    rights: ALL.filter((right) => !OF_THE_PROVIDER.includes(right)),
  },
  billing: {
    sees: 'own and below',
    writesBelow: false,
    rights: ['calls.read', 'cost.read', 'exports.read', 'orders.read', 'orders.write', 'invoices.read'],
  },
  technician: {
    sees: 'own and below',
    writesBelow: false,
    rights: ['calls.read', 'numbers.read', 'webhooks.read', 'webhooks.write', 'own_keys.write'],
  },
  reader: {
    sees: 'own and below',
    writesBelow: false,
    rights: ['calls.read', 'numbers.read', 'cost.read'],
  },
  customer: {
    sees: 'own and below',
    writesBelow: false,
    rights: ['calls.read', 'numbers.read', 'cost.read', 'exports.read'],
  },
  ingest: { sees: 'all', writesBelow: true, rights: ['calls.write'] },
  notify: { sees: 'all', writesBelow: true, rights: ['messages.send'] },
};

/** Whether a caller may do something to an object of an organization. @param relation of the organization to the caller's own */
export function judge(who: Who, right: Right, relation: Relation): 200 | 403 | 404 {
  const { sees, writesBelow, rights } = GRANTS[who];
  if (sees !== 'all' && relation === 'other') return 404;
  if (!rights.includes(right)) return 403;
  return relation !== 'below' || isRead(right) || writesBelow ? 200 : 403;
}

/** docs/RIGHTS.md. */
export function rightsDocument(): string {
  const cell = (who: Who, right: Right) => {
    if (judge(who, right, 'own') !== 200) return '';
    return judge(who, right, 'below') === 200 ? 'yes' : 'own';
  };
  const rows = ALL.map(
    (right) => `| \`${right}\` | ${RIGHTS[right]} | ${WHO.map((who) => cell(who, right)).join(' | ')} |`,
  );
  return `# Rights

The table of who may do what ([rights.ts](../services/identity/rights.ts)). A person has a role; a machine has a scope. \`yes\`: in the own
organization and in those below it; \`own\`: in the own organization alone; empty: not at all. The provider's own (operator, support,
ingest, notify) have a right in every organization.

A request for an object of an organization that the caller does not see is answered with 404. A request without the right, in an
organization that the caller sees, is answered with 403.

The table is what the roles mean. So far keys and tokens carry the scopes operator, customer, support and ingest, and the routes of
each service name the scopes that may use them; the roles of an organization take effect with the routes that name them.

| right | what it is | ${WHO.join(' | ')} |
|---|---|${WHO.map(() => '---').join('|')}|
${rows.join('\n')}
`;
}
