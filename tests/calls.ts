/** Calls for tests: rows as a format's reader gives them, and where they come from. */

import type { Pool } from '#platform/database/pool.ts';
import type { SourceRecord } from '#services/calls/cdr.ts';
import { NOT_TOLD } from '#services/calls/formats/field_values.ts';
import type { ParsedRow } from '#services/calls/formats/source_reader.ts';
import type { ImportSource } from '#services/calls/intake/import_source.ts';
import { openFileSource } from '#services/calls/intake/import_source.ts';
import { decideOutcome, type Outcome } from '#services/calls/outcome.ts';

/** A record with what is decided of it in place of what it tells. */
export type Decided = Omit<SourceRecord, 'resultWord' | 'causeResult' | 'tellsAnswers' | keyof Outcome> &
  Outcome;

export function decided(record: SourceRecord): Decided {
  const { resultWord: _, causeResult: __, tellsAnswers: ___, ...rest } = record;
  return { ...rest, ...decideOutcome(record) };
}

let line = 0;

/** One answered call of a minute of account "acme" unless told otherwise; each has an identity of its own. */
export function callRow(fields: Partial<SourceRecord> = {}): ParsedRow {
  line++;
  const startTime = fields.startTime ?? Date.parse('2026-11-10T12:00:00Z') + line;
  const record: SourceRecord = {
    accountCode: 'acme',
    callId: `call-${line}`,
    identity: `call-${line}`,
    alsoSays: '',
    wholeRow: '',
    cli: '+493023125001',
    cld: '+442079460001',
    direction: null,
    connectTime: startTime + 5_000,
    disconnectTime: startTime + 65_000,
    durationS: 65,
    billedDurationS: 60,
    resultWord: null,
    result: null,
    disconnectCause: '16',
    causeResult: 'cleared',
    tellsAnswers: true,
    ...NOT_TOLD,
    flags: [],
    attributes: {},
    ...fields,
    startTime,
  };
  const bytes = Buffer.from(`row ${line}`);
  return { row: { line, bytes, offset: 0, ended: true }, parsed: { kind: 'record', record } };
}

/** A file as the source of rows; accounts are made as they come, in EUR and UTC. */
export function testImportSource(pool: Pool, fields: Partial<ImportSource> = {}): Promise<ImportSource> {
  return openFileSource(pool, {
    file: fields.file ?? '/var/log/test.csv',
    format: 'asterisk-csv',
    source: fields.source ?? 'test',
    readOptions: { timeZone: 'UTC', ...(fields.credits && { credits: true }) },
    newAccounts:
      fields.newAccounts === undefined
        ? { currency: 'EUR', timeZone: 'UTC', country: 'DE' }
        : fields.newAccounts,
  });
}
