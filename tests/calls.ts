/** Calls for tests: rows as a format's reader gives them, and where they come from. */

import type { Pool } from '#platform/database/pool.ts';
import type { SourceRecord } from '#services/calls/cdr.ts';
import type { Taken } from '#services/calls/formats/reader.ts';
import type { Origin } from '#services/calls/intake/intake.ts';
import { openFileOrigin } from '#services/calls/intake/origin.ts';

let line = 0;

/** One answered call of a minute of account "acme" unless told otherwise; each has an identity of its own. */
export function callRow(fields: Partial<SourceRecord> = {}): Taken {
  line++;
  const startTime = fields.startTime ?? Date.parse('2026-11-10T12:00:00Z') + line;
  const record: SourceRecord = {
    accountCode: 'acme',
    callId: `call-${line}`,
    identity: `call-${line}`,
    cli: '+493023125001',
    cld: '+442079460001',
    direction: null,
    connectTime: startTime + 5_000,
    disconnectTime: startTime + 65_000,
    durationS: 65,
    billedDurationS: 60,
    result: 'answered',
    disconnectCause: '16',
    country: null,
    description: null,
    cost: null,
    currency: null,
    remoteIp: null,
    userAgent: null,
    flags: [],
    attributes: {},
    ...fields,
    startTime,
  };
  return { row: { line, bytes: Buffer.from(`row ${line}`) }, parsed: { kind: 'record', record } };
}

/** A file as the source of rows; accounts are made as they come, in EUR and UTC. */
export function testOrigin(pool: Pool, fields: Partial<Origin> = {}): Promise<Origin> {
  return openFileOrigin(pool, {
    file: fields.file ?? '/var/log/test.csv',
    format: 'asterisk-csv',
    source: fields.source ?? 'test',
    readOptions: { timeZone: 'UTC' },
    newAccounts:
      fields.newAccounts === undefined
        ? { currency: 'EUR', timeZone: 'UTC', country: 'DE' }
        : fields.newAccounts,
  });
}
