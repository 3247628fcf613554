/** The tables of this service, written by scripts/tables.ts from its migrations. */
import type { ColumnType } from "kysely";

export type Generated<T> = T extends ColumnType<infer S, infer I, infer U>
  ? ColumnType<S, I | undefined, U>
  : ColumnType<T, T | undefined, T>;

export type Json = JsonValue;

export type JsonArray = JsonValue[];

export type JsonObject = {
  [x: string]: JsonValue | undefined;
};

export type JsonPrimitive = boolean | number | string | null;

export type JsonValue = JsonArray | JsonObject | JsonPrimitive;

export interface IdentityApiKeys {
  created_at: Generated<string>;
  expires_at: string | null;
  hash: Buffer;
  i_account: number | null;
  i_key: Generated<number>;
  name: string;
  prefix: string;
  revoked_at: string | null;
  scope: string;
}

export interface IdentityAudit {
  action: string;
  after: Json | null;
  at: Generated<string>;
  before: Json | null;
  by_id: string;
  by_name: string;
  detail: Json;
  i_audit: Generated<number>;
  subject: string;
}

export interface IdentityCredentials {
  access_token: string | null;
  access_token_expires_at: string | null;
  account_id: string;
  created_at: Generated<string>;
  id: Generated<string>;
  id_token: string | null;
  password: string | null;
  provider_id: string;
  refresh_token: string | null;
  refresh_token_expires_at: string | null;
  scope: string | null;
  updated_at: Generated<string>;
  user_id: string;
}

export interface IdentityHeartbeat {
  at: string;
  id: boolean;
}

export interface IdentityInvitations {
  accepted_at: string | null;
  created_at: Generated<string>;
  email: string;
  expires_at: string;
  hash: Buffer;
  id: Generated<string>;
  organization_id: string | null;
  role: string;
}

export interface IdentityKnownDevices {
  hash: Buffer;
  used_at: Generated<string>;
  user_id: string;
}

export interface IdentityMemberships {
  created_at: Generated<string>;
  organization_id: string;
  role: string;
  user_id: string;
}

export interface IdentityOrganizations {
  created_at: Generated<string>;
  i_account: number;
  id: Generated<string>;
  name: string;
}

export interface IdentitySecondFactors {
  backup_codes: string;
  failed_verification_count: Generated<number>;
  id: Generated<string>;
  locked_until: string | null;
  secret: string;
  user_id: string;
  verified: Generated<boolean>;
}

export interface IdentitySecrets {
  name: string;
  value: Buffer;
}

export interface IdentitySessions {
  created_at: Generated<string>;
  expires_at: string;
  id: Generated<string>;
  ip_address: string | null;
  token: string;
  updated_at: Generated<string>;
  user_agent: string | null;
  user_id: string;
}

export interface IdentitySignInTries {
  blocked_until: string;
  bucket: Buffer;
  last_at: string;
  tries: number;
}

export interface IdentityUsedCodes {
  hash: Buffer;
  used_at: Generated<string>;
  user_id: string;
}

export interface IdentityUsers {
  created_at: Generated<string>;
  email: string;
  email_verified: Generated<boolean>;
  id: Generated<string>;
  image: string | null;
  name: string;
  role: string | null;
  two_factor_enabled: Generated<boolean>;
  updated_at: Generated<string>;
}

export interface IdentityVerifications {
  created_at: Generated<string>;
  expires_at: string;
  id: Generated<string>;
  identifier: string;
  updated_at: Generated<string>;
  value: string;
}

export interface DB {
  "identity.api_keys": IdentityApiKeys;
  "identity.audit": IdentityAudit;
  "identity.credentials": IdentityCredentials;
  "identity.heartbeat": IdentityHeartbeat;
  "identity.invitations": IdentityInvitations;
  "identity.known_devices": IdentityKnownDevices;
  "identity.memberships": IdentityMemberships;
  "identity.organizations": IdentityOrganizations;
  "identity.second_factors": IdentitySecondFactors;
  "identity.secrets": IdentitySecrets;
  "identity.sessions": IdentitySessions;
  "identity.sign_in_tries": IdentitySignInTries;
  "identity.used_codes": IdentityUsedCodes;
  "identity.users": IdentityUsers;
  "identity.verifications": IdentityVerifications;
}
