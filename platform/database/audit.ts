/**
 * The audit trail of a schema: who changed what, written in the transaction of the change. The schema's migrations make its
 * table `audit`, whose rows are only added.
 */
import { sql } from 'kysely';
import { type Statement, sqlBuilder } from './statement.ts';

const build = sqlBuilder<unknown>();

/** Who changes something; a Caller of the API is one. */
export interface Actor {
  /** `key:4`, `jwt:…`, `terminal:root`. */
  readonly id: string;
  /** What people know it by. */
  readonly name: string;
}

/** What it does by itself: the first key of a database that has none. */
export const THE_PROGRAM: Actor = { id: 'program', name: 'trunkline' };

/** Numbers by what is counted: `{"calls": 12}`. */
export type Counts = Readonly<Record<string, number>>;

export interface Audited {
  /** What was done: `imports.undo`. */
  readonly action: string;
  /** To what: `import 12`. No name or telephone number of a person: what is written here stays when those are erased. */
  readonly subject: string;
  /** What else is to be known of it, such as the reason that was given, and how much was done. */
  readonly detail?: Readonly<Record<string, unknown>>;
  /** What there was of the same before and after: rows that wait, accounts. */
  readonly before?: Counts;
  readonly after?: Counts;
}

export interface AuditRow {
  /** Counted by each service for itself. */
  readonly i_audit: number;
  /** Whose trail it is in. */
  readonly service: string;
  readonly at: string;
  readonly by_id: string;
  readonly by_name: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly before: Counts | null;
  readonly after: Counts | null;
}

/** Undefined: any. */
export interface AuditFilter {
  readonly action?: string | undefined;
  readonly subject?: string | undefined;
}

export interface AuditTrail {
  /** To be run in the transaction that makes the change: so there is no change without its entry, and no entry without one. */
  note(by: Actor, audited: Audited): Statement<unknown>;
  /** The newest first. */
  list(filter: AuditFilter, limit: number): Statement<AuditRow>;
}

/** What is noted in a database that was restored; its detail names the back-up by `made_at`. */
export const RESTORED = 'database.restore';

export function auditTrail(schema: string): AuditTrail {
  const table = sql.id(schema, 'audit');
  return {
    note: (by, { action, subject, detail = {}, before, after }) =>
      sql`
        INSERT INTO ${table} (by_id, by_name, action, subject, detail, before, after)
        VALUES (${by.id}, ${by.name}, ${action}, ${subject}, ${JSON.stringify(detail)}::jsonb,
                ${asJson(before)}::jsonb, ${asJson(after)}::jsonb)`.compile(build),
    list: ({ action, subject }, limit) =>
      sql<AuditRow>`
        SELECT i_audit, ${schema}::text AS service, at, by_id, by_name, action, subject, detail, before, after FROM ${table}
        WHERE (${action ?? null}::text IS NULL OR action = ${action ?? null})
          AND (${subject ?? null}::text IS NULL OR subject = ${subject ?? null})
        ORDER BY i_audit DESC LIMIT ${limit}`.compile(build),
  };
}

const asJson = (counts: Counts | undefined): string | null => (counts ? JSON.stringify(counts) : null);
