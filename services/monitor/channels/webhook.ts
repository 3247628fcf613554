/**
 * Any other program, by a signed POST as in Standard Webhooks (https://www.standardwebhooks.com). The signature covers
 * id, time and body, so that no message can be changed or replayed; `webhook-id` is the same at each attempt.
 */
import { createHmac } from 'node:crypto';
import type { Clock } from '#platform/lifecycle/clock.ts';
import type { Severity } from '../words.ts';
import { type Channel, postJson, runbookAddress } from './channel.ts';

export interface WebhookSettings {
  readonly url: string;
  /** `whsec_` and base64 of 24 to 64 bytes, as in the standard. */
  readonly secret: string;
  readonly from: Severity;
  readonly runbookUrl: string | undefined;
  readonly clock: Clock;
}

const SECRET_PREFIX = 'whsec_';

export function webhookChannel({ url, secret, from, runbookUrl, clock }: WebhookSettings): Channel {
  return {
    name: 'webhook',
    from,
    perAlert: false,
    takes: () => true,
    send: ({ id, notice, signal }) => {
      const body = JSON.stringify({ ...notice, runbook: runbookAddress(runbookUrl, notice.runbook) });
      const timestamp = String(Math.floor(clock.now() / 1_000));
      return postJson(url, body, signal, {
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature(secret, id, timestamp, body),
      });
    },
  };
}

/** @param secret with its prefix */
export function signature(secret: string, id: string, timestamp: string, body: string): string {
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}
