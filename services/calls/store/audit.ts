/** The audit trail of this service (migration 0010). */
import { auditTrail } from '#platform/database/audit.ts';

export { type Actor, type AuditFilter, THE_PROGRAM } from '#platform/database/audit.ts';

export const { note: noteAudit, list: listAudit } = auditTrail('calls');
