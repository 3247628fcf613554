/** Words of alerts and notices that the contract names, too. */

/** How bad: critical — somebody gets up; warning — somebody looks today; info — good to know. */
export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const NOTICE_KINDS = ['firing', 'resolved', 'acknowledged', 'notice', 'test', 'heartbeat'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];
