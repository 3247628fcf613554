/**
 * PagerDuty, Events API v2 (https://developer.pagerduty.com/docs/events-api-v2-overview). Each alert is an incident of
 * its own: opened, acknowledged and resolved by its dedup key, so a repeat changes nothing there.
 */
import { hash } from 'node:crypto';
import type { Notice } from '../notice.ts';
import type { Severity } from '../words.ts';
import { type Channel, DeliveryError, postJson, runbookAddress, type Sending } from './channel.ts';

export interface PagerDutySettings {
  readonly url: string;
  /** The integration's key: 32 characters, secret. */
  readonly routingKey: string;
  readonly from: Severity;
  /** The name of this installation. */
  readonly source: string;
  readonly runbookUrl: string | undefined;
}

const SUMMARY_LIMIT = 1_024;
const DEDUP_KEY_LIMIT = 255;
const ACTIONS = {
  firing: 'trigger',
  resolved: 'resolve',
  acknowledged: 'acknowledge',
  test: 'trigger',
} as const;

/** Notices without an end are not sent: they would be incidents that no recovery closes. */
export function pagerDutyChannel(settings: PagerDutySettings): Channel {
  const post = async (event: object, signal: AbortSignal) => {
    try {
      await postJson(settings.url, JSON.stringify(event), signal);
    } catch (error) {
      // A wrong key is answered 400 as well, but then the settings are wrong, not the event: the event waits.
      if (!(error instanceof DeliveryError) || !/routing.?key/i.test(error.message)) throw error;
      throw new DeliveryError(error.message);
    }
  };
  return {
    name: 'pagerduty',
    from: settings.from,
    perAlert: true,
    takes: ({ kind }) => kind in ACTIONS,
    send: async (sending) => {
      await post(pagerDutyEvent(sending, settings), sending.signal);
      if (sending.notice.kind === 'test') {
        const notice: Notice = { ...sending.notice, kind: 'resolved' };
        await post(pagerDutyEvent({ ...sending, notice }, settings), sending.signal);
      }
    },
  };
}

/** The event of one alert. */
export function pagerDutyEvent(
  { notice, id }: Pick<Sending, 'notice' | 'id'>,
  { routingKey, source, runbookUrl }: Omit<PagerDutySettings, 'url' | 'from'>,
): object {
  const event_action = ACTIONS[notice.kind as keyof typeof ACTIONS];
  const head = { routing_key: routingKey, event_action, dedup_key: dedupKey(notice.keys[0] ?? id, source) };
  if (event_action !== 'trigger') return head;
  return {
    ...head,
    client: 'Trunkline monitor',
    payload: {
      summary: `${notice.title}: ${notice.message}`.slice(0, SUMMARY_LIMIT),
      source,
      severity: notice.severity,
      timestamp: notice.at,
      class: notice.runbook,
      custom_details: {
        details: notice.details,
        runbook: runbookAddress(runbookUrl, notice.runbook),
      },
    },
    ...(runbookUrl !== undefined && {
      links: [{ href: runbookAddress(runbookUrl, notice.runbook), text: 'Runbook' }],
    }),
  };
}

function dedupKey(key: string, source: string): string {
  const whole = `${source}/${key}`;
  return whole.length <= DEDUP_KEY_LIMIT ? whole : hash('sha256', whole);
}
