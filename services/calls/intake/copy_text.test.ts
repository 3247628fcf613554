import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callRow } from '#tests/calls.ts';
import { COPY_COLUMNS } from '../call_fields.ts';
import { copyLine } from './copy_text.ts';
import { normalize } from './normalize.ts';

const account = { i_account: 7, code: 'acme', currency: 'EUR', country: 'DE', closed_from: null };

test('each column stands where COPY looks for it', () => {
  const { parsed } = callRow({
    ...{
      callId: 'the id',
      cli: '030 111111',
      cld: '030 222222',
      direction: 'outbound',
      linkedId: 'the link',
    },
    ...{ startTime: Date.UTC(2026, 2, 1), connectTime: Date.UTC(2026, 2, 1, 0, 1) },
    ...{
      disconnectTime: Date.UTC(2026, 2, 1, 0, 2),
      durationS: 120,
      billedDurationS: 60,
      tellsAnswers: true,
    },
    ...{ resultWord: 'ANSWERED', result: 'answered', disconnectCause: '16', country: 'DE', cost: '0.5' },
    ...{ currency: 'USD', flags: ['ambiguous_time'], attributes: { a: 'b' } },
    ...{ description: 'the text', remoteIp: '192.0.2.1', userAgent: 'the telephone' },
  });
  assert.ok(parsed.kind === 'record');
  const normalized = normalize(parsed.record, account, Date.now(), false);
  assert.ok(normalized.kind === 'cdr');
  const { sourceKey, told } = normalized.cdr;
  const cells = copyLine(normalized.cdr, 5, { iImport: 3, source: 'the switch' }).slice(0, -1).split('\t');
  assert.deepEqual(Object.fromEntries(COPY_COLUMNS.map((name, place) => [name, cells[place]])), {
    ...{ i_cdr: '', i_account: '7', call_id: 'the id', direction: 'outbound' },
    ...{ cli: '+4930111111', cld: '+4930222222', cli_in: '030 111111', cld_in: '030 222222' },
    ...{ start_time: '2026-03-01 00:00:00Z', connect_time: '2026-03-01 00:01:00Z' },
    ...{ disconnect_time: '2026-03-01 00:02:00Z', duration_s: '120', billed_duration_s: '60' },
    ...{ result: 'answered', disconnect_cause: '16', country: 'DE', cost: '0.5', currency: 'USD' },
    ...{ flags: '{ambiguous_time}', source: 'the switch', linked_id: 'the link', source_key: sourceKey },
    ...{ line: '5', i_import: '3', attributes: '{"a":"b"}', told: String(told) },
    ...{ description: 'the text', remote_ip: '192.0.2.1', user_agent: 'the telephone' },
  });
  assert.equal(cells.length, COPY_COLUMNS.length);
});
