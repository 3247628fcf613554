/** Organizations, and invitations to them: made by operators, accepted once, by the person whom they are for. */
import { createHash, randomBytes } from 'node:crypto';
import type { Actor } from '#platform/database/audit.ts';
import { type Pool, withSession, withTransaction } from '#platform/database/pool.ts';
import type { Session } from '#platform/database/session.ts';
import { type OrganizationRole, PROVIDER_ROLES, type ProviderRole, type Role } from '../contract.ts';
import { identityError } from '../errors.ts';
import { insertPassword } from '../people/store.ts';
import { noteAudit } from '../store.ts';
import {
  acceptInvitation,
  giveProviderRole,
  type InvitationRow,
  insertInvitation,
  insertMembership,
  insertOrganization,
  insertUser,
  type NewInvitation,
  organizationAt,
  userWithEmail,
} from './store.ts';

/** 256 random bits: it can't be guessed, so a fast hash is enough. */
const CODE_BYTES = 32;

export const hashOfInvitation = (code: string): Buffer => createHash('sha256').update(code).digest();

/** @throws Error when the account has an organization */
export function createOrganization(
  pool: Pool,
  { name, iAccount }: { readonly name: string; readonly iAccount: number },
  by: Actor,
): Promise<{ id: string }> {
  return withTransaction(pool, async (session) => {
    const made = await session.row(insertOrganization(name, iAccount));
    if (!made) throw new Error('this account has an organization already; trunkline orgs list shows it');
    const detail = { i_account: iAccount };
    await session.run(
      noteAudit(by, { action: 'organizations.create', subject: `organization ${made.id}`, detail }),
    );
    return made;
  });
}

/** @throws Error when the account has no organization */
export async function findOrganization(pool: Pool, iAccount: number): Promise<{ id: string; name: string }> {
  const found = await withSession(pool, (session) => session.row(organizationAt(iAccount)));
  if (!found) throw new Error('this account has no organization; trunkline orgs create makes one');
  return found;
}

export interface Invited {
  readonly id: string;
  readonly email: string;
  readonly role: Role;
  readonly expires_at: string;
  /** It can't be shown again. */
  readonly code: string;
}

export function invite(pool: Pool, wanted: NewInvitation, by: Actor): Promise<Invited> {
  const code = randomBytes(CODE_BYTES).toString('base64url');
  return withTransaction(pool, async (session) => {
    const { id, expires_at } = (await session.row(insertInvitation(wanted, hashOfInvitation(code))))!;
    const { email, organizationId: organization, role } = wanted;
    const detail = { organization, role, expires_at };
    await session.run(noteAudit(by, { action: 'invitations.create', subject: `invitation ${id}`, detail }));
    return { id, email, role, expires_at, code };
  });
}

/** Whoever accepts an invitation. */
export type Accepting =
  /** Has signed in before. @prop email the person's own */
  | { readonly kind: 'known'; readonly userId: string; readonly email: string }
  | { readonly kind: 'new'; readonly name: string; readonly passwordHash: string };

/**
 * Accepts an invitation, in the transaction of `session`.
 * @throws ApiError 404 when it is void, 409 when it is for somebody else, or its person has to sign in first
 */
export async function accept(session: Session, code: string, who: Accepting): Promise<InvitationRow> {
  const invitation = await session.row(acceptInvitation(hashOfInvitation(code)));
  if (!invitation) throw identityError('invitation_void');
  const userId = await personOf(session, invitation, who);
  const { organization_id: organization, role } = invitation;
  if (organization === null) await session.run(giveProviderRole(userId, role as ProviderRole));
  else await session.run(insertMembership(organization, userId, role as OrganizationRole));
  const by: Actor = { id: `user:${userId}`, name: `user ${userId}` };
  const detail = { organization, role };
  await session.run(
    noteAudit(by, { action: 'invitations.accept', subject: `invitation ${invitation.id}`, detail }),
  );
  return invitation;
}

async function personOf(session: Session, { email }: InvitationRow, who: Accepting): Promise<string> {
  if (who.kind === 'known') {
    if (who.email !== email) throw identityError('invitation_of_another');
    return who.userId;
  }
  const made = await session.row(insertUser(email, who.name));
  // Whoever holds the invitation must not get the account of the person who is there.
  if (!made) throw identityError('sign_in_first');
  await session.run(insertPassword(made.id, who.passwordHash));
  return made.id;
}

/** @throws ApiError 409 when a person with the invitation's e-mail is there, who has to sign in */
export async function refuseKnown(session: Session, { email }: InvitationRow): Promise<void> {
  if (await session.row(userWithEmail(email))) throw identityError('sign_in_first');
}

export const isProviderRole = (role: Role): role is ProviderRole =>
  (PROVIDER_ROLES as readonly string[]).includes(role);
