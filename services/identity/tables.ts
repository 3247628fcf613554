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

export interface IdentityHeartbeat {
  at: string;
  id: boolean;
}

export interface IdentitySecrets {
  name: string;
  value: Buffer;
}

export interface DB {
  "identity.api_keys": IdentityApiKeys;
  "identity.audit": IdentityAudit;
  "identity.heartbeat": IdentityHeartbeat;
  "identity.secrets": IdentitySecrets;
}
