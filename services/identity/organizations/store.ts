/** Statements about organizations, memberships and invitations. */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from '#platform/database/statement.ts';
import type { OrganizationRole, ProviderRole, Role } from '../contract.ts';

const build = sqlBuilder<unknown>();

export interface OrganizationRow {
  readonly id: string;
  readonly name: string;
  readonly i_account: number;
  /** RFC 3339. */
  readonly created_at: string;
  readonly people: number;
  /** Invitations that can still be accepted. */
  readonly invitations: number;
}

/** No row: the account has an organization. */
export const insertOrganization = (name: string, iAccount: number): Statement<{ id: string }> =>
  sql<{ id: string }>`
    INSERT INTO identity.organizations (name, i_account) VALUES (${name}, ${iAccount})
    ON CONFLICT (i_account) DO NOTHING RETURNING id`.compile(build);

export const listOrganizations = (): Statement<OrganizationRow> =>
  sql<OrganizationRow>`
    SELECT id, name, i_account, created_at,
      (SELECT count(*)::integer FROM identity.memberships WHERE organization_id = o.id) AS people,
      (SELECT count(*)::integer FROM identity.invitations
       WHERE organization_id = o.id AND accepted_at IS NULL AND expires_at > now()) AS invitations
    FROM identity.organizations AS o ORDER BY name, id`.compile(build);

export const organizationAt = (iAccount: number): Statement<{ id: string; name: string }> =>
  sql<{ id: string; name: string }>`
    SELECT id, name FROM identity.organizations WHERE i_account = ${iAccount}`.compile(build);

/** A person's place in an organization, as the person sees it. */
export interface MembershipRow {
  readonly id: string;
  readonly name: string;
  readonly i_account: number;
  readonly role: OrganizationRole;
}

export const membershipsOf = (userId: string): Statement<MembershipRow> =>
  sql<MembershipRow>`
    SELECT o.id, o.name, o.i_account, m.role
    FROM identity.memberships AS m JOIN identity.organizations AS o ON o.id = m.organization_id
    WHERE m.user_id = ${userId} ORDER BY o.name, o.id`.compile(build);

export interface NewInvitation {
  /** In lower case. */
  readonly email: string;
  /** Null: to the provider's own people. */
  readonly organizationId: string | null;
  readonly role: Role;
  readonly days: number;
}

/** An open invitation of the same person to the same place is replaced: its code is void. */
export const insertInvitation = (
  { email, organizationId, role, days }: NewInvitation,
  hash: Buffer,
): Statement<{ id: string; expires_at: string }> =>
  sql<{ id: string; expires_at: string }>`
    INSERT INTO identity.invitations (hash, email, organization_id, role, expires_at)
    VALUES (${hash}, ${email}, ${organizationId}, ${role}, now() + make_interval(days => ${days}))
    ON CONFLICT (email, organization_id) WHERE accepted_at IS NULL DO UPDATE
      SET hash = excluded.hash, role = excluded.role, expires_at = excluded.expires_at, created_at = now()
    RETURNING id, expires_at`.compile(build);

export interface InvitationRow {
  readonly id: string;
  readonly email: string;
  readonly organization_id: string | null;
  readonly role: Role;
}

/** No row: there is none, it has been accepted, or its time is over. */
export const openInvitation = (hash: Buffer): Statement<InvitationRow> =>
  sql<InvitationRow>`
    SELECT id, email, organization_id, role FROM identity.invitations
    WHERE hash = ${hash} AND accepted_at IS NULL AND expires_at > now()`.compile(build);

/** The same, and it is accepted now: of those who come at once, one gets the row. */
export const acceptInvitation = (hash: Buffer): Statement<InvitationRow> =>
  sql<InvitationRow>`
    UPDATE identity.invitations SET accepted_at = now()
    WHERE hash = ${hash} AND accepted_at IS NULL AND expires_at > now()
    RETURNING id, email, organization_id, role`.compile(build);

export const userWithEmail = (email: string): Statement<{ id: string }> =>
  sql<{ id: string }>`SELECT id FROM identity.users WHERE email = ${email}`.compile(build);

/** No row: there is a person with this e-mail. */
export const insertUser = (email: string, name: string): Statement<{ id: string }> =>
  sql<{ id: string }>`
    INSERT INTO identity.users (name, email) VALUES (${name}, ${email})
    ON CONFLICT (email) DO NOTHING RETURNING id`.compile(build);

export const giveProviderRole = (userId: string, role: ProviderRole): Statement<unknown> =>
  sql`UPDATE identity.users SET role = ${role}, updated_at = now() WHERE id = ${userId}`.compile(build);

/** A person who is there already gets the new role. */
export const insertMembership = (
  organizationId: string,
  userId: string,
  role: OrganizationRole,
): Statement<unknown> =>
  sql`
    INSERT INTO identity.memberships (organization_id, user_id, role) VALUES (${organizationId}, ${userId}, ${role})
    ON CONFLICT (organization_id, user_id) DO UPDATE SET role = excluded.role`.compile(build);
