/** Severities and kinds of notices, which the contract uses, too. */

/** critical: needs a person at once; warning: needs a look today; info: good to know. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const NOTICE_KINDS = ['firing', 'resolved', 'acknowledged', 'notice', 'test', 'heartbeat'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];
