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

export interface CallsAccountParents {
  i_account: number;
  i_parent: number | null;
  since: string;
  until: string;
}

export interface CallsAccounts {
  closed_from: string | null;
  code: string;
  country: string | null;
  created_at: Generated<string>;
  currency: string;
  i_account: Generated<number>;
  i_parent: number | null;
  name: string;
  time_zone: string;
}

export interface CallsAccountSources {
  i_account: number;
  i_import: number;
  source: string;
}

export interface CallsApiKeys {
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

export interface CallsAudit {
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

export interface CallsCdrHistory {
  call: Json;
  i_cdr: number;
  i_import: number | null;
  replaced_at: Generated<string>;
  start_time: string;
}

export interface CallsCdrs {
  attributes: Json | null;
  billed_duration_s: string;
  call_id: string;
  cld: string;
  cld_in: string | null;
  cli: string;
  cli_in: string | null;
  connect_time: string | null;
  cost: string | null;
  country: string | null;
  currency: string;
  description: string | null;
  direction: string;
  disconnect_cause: string | null;
  disconnect_time: string | null;
  duration_s: string;
  flags: string[] | null;
  i_account: number;
  i_cdr: number;
  i_import: number | null;
  line: number | null;
  linked_id: string | null;
  remote_ip: string | null;
  result: string;
  source: string;
  source_key: string;
  start_time: string;
  told: number | null;
  user_agent: string | null;
}

export interface CallsErasures {
  begun_at: Generated<string>;
  counts: Generated<Json>;
  finished_at: string | null;
  kind: string;
  place: Json | null;
  pseudonym: string;
}

export interface CallsFollowedDocuments {
  i_source: number;
  name: string;
  version: string;
}

export interface CallsFollowedFiles {
  before_bytes: Generated<number>;
  before_hash: Generated<Buffer>;
  columns: string[] | null;
  device: string;
  finished_at: string | null;
  format: string | null;
  head_bytes: Generated<number>;
  head_hash: Generated<Buffer>;
  header_bytes: Generated<number>;
  i_file: Generated<number>;
  i_source: number;
  inode: string;
  line: Generated<number>;
  modified_at: string | null;
  name: string;
  position: Generated<number>;
}

export interface CallsFollowedGaps {
  began_at: string;
  ended_at: string;
  i_source: number;
}

export interface CallsFollowedSources {
  bytes_behind: Generated<number>;
  detail: Generated<string>;
  first_row_at: string | null;
  held_until: string | null;
  holder: string | null;
  i_source: Generated<number>;
  last_row_at: string | null;
  machine: string;
  path: string;
  rows: Generated<number>;
  searched_to: string | null;
  state: Generated<string>;
  time_zone: string;
  told_at: Generated<string>;
}

export interface CallsFormerCodes {
  code: string;
  i_account: number;
  renamed_at: Generated<string>;
}

export interface CallsHeartbeat {
  at: string;
  id: boolean;
}

export interface CallsImportMaps {
  columns: Json;
  name: string;
  updated_at: Generated<string>;
}

export interface CallsImports {
  completed: Generated<number>;
  conflicts: Generated<number>;
  duplicates: Generated<number>;
  erased: Generated<number>;
  file: string;
  finished_at: string | null;
  format: string;
  held_until: Generated<string | null>;
  i_import: Generated<number>;
  known_before: Generated<boolean>;
  noted: Generated<boolean>;
  options: Json;
  read: Generated<number>;
  set_aside: Generated<number>;
  source: string;
  started_at: Generated<string>;
  stored: Generated<number>;
  told_at: string | null;
  told_to: string | null;
  undo_began_at: string | null;
  undone: Json | null;
  undone_at: string | null;
}

export interface CallsLinkageRepairs {
  finished_at: string | null;
  i_cdr: Generated<number>;
  month: number;
}

export interface CallsOutcomeRepairs {
  calls_changed: Generated<number>;
  finished_at: string | null;
  i_account: Generated<number>;
  month: number;
  quarter: Generated<string>;
}

export interface CallsProvisionalRows {
  before: Json | null;
  created_at: Generated<string>;
  fingerprint: Buffer;
  head: Buffer;
  i_cdr: number | null;
  i_rejected: number | null;
  row_hash: Buffer;
  row_offset: number;
  source: string;
  source_bytes: number;
}

export interface CallsRejectedCdrs {
  aside_before: Generated<number[]>;
  bytes: Buffer;
  code: string;
  columns: string[] | null;
  conflict: Json | null;
  content: Buffer;
  created_at: Generated<string>;
  cut: Generated<boolean>;
  discarded_at: string | null;
  field: string | null;
  file: string;
  i_import: number;
  i_rejected: Generated<number>;
  line: number;
  reason: string;
  seen_again_at: string | null;
  source: string;
  taken_at: string | null;
  taken_by: number | null;
}

export interface CallsSecrets {
  created_at: Generated<string>;
  name: string;
  value: Buffer;
}

export interface CallsSourceHours {
  hour: string;
  last_at: string | null;
  last_file: string | null;
  refused: Generated<number>;
  rows: Generated<number>;
  set_aside: Generated<number>;
  since: Generated<string | null>;
  source: string;
}

export interface CallsSourceNames {
  before: string;
  source: string;
}

export interface CallsSourceTurns {
  since: number;
  source: string;
  turn: number;
  writer: string;
}

export interface CallsTellings {
  call: Json;
  ended: boolean;
  i_cdr: number;
  i_import: number | null;
  i_telling: Generated<number>;
  is_base: boolean;
  key_before: string;
  nth: number;
  outcome: string;
  told_at: Generated<string>;
}

export interface CallsToldAgain {
  i_import: number;
  i_telling: Generated<number>;
  numbers: string;
  same_as: number;
  same_nth: number;
  told_at: Generated<string>;
}

export interface CallsUsageDays {
  answered: number;
  billed_seconds: string;
  calls: number;
  cost: string | null;
  country: string;
  currency: string;
  day: string;
  direction: string;
  errors: number;
  i_account: number;
  non_zero: number;
  seconds: string;
}

export interface CallsUsageQuarters {
  answered: number;
  billed_seconds: string;
  calls: number;
  cost: string | null;
  country: string;
  currency: string;
  direction: string;
  errors: number;
  i_account: number;
  non_zero: number;
  quarter: string;
  seconds: string;
}

export interface CallsWatermarks {
  last_disconnect: string;
  source: string;
  updated_at: Generated<string>;
}

export interface DB {
  "calls.account_parents": CallsAccountParents;
  "calls.account_sources": CallsAccountSources;
  "calls.accounts": CallsAccounts;
  "calls.api_keys": CallsApiKeys;
  "calls.audit": CallsAudit;
  "calls.cdr_history": CallsCdrHistory;
  "calls.cdrs": CallsCdrs;
  "calls.erasures": CallsErasures;
  "calls.followed_documents": CallsFollowedDocuments;
  "calls.followed_files": CallsFollowedFiles;
  "calls.followed_gaps": CallsFollowedGaps;
  "calls.followed_sources": CallsFollowedSources;
  "calls.former_codes": CallsFormerCodes;
  "calls.heartbeat": CallsHeartbeat;
  "calls.import_maps": CallsImportMaps;
  "calls.imports": CallsImports;
  "calls.linkage_repairs": CallsLinkageRepairs;
  "calls.outcome_repairs": CallsOutcomeRepairs;
  "calls.provisional_rows": CallsProvisionalRows;
  "calls.rejected_cdrs": CallsRejectedCdrs;
  "calls.secrets": CallsSecrets;
  "calls.source_hours": CallsSourceHours;
  "calls.source_names": CallsSourceNames;
  "calls.source_turns": CallsSourceTurns;
  "calls.tellings": CallsTellings;
  "calls.told_again": CallsToldAgain;
  "calls.usage_days": CallsUsageDays;
  "calls.usage_quarters": CallsUsageQuarters;
  "calls.watermarks": CallsWatermarks;
}
