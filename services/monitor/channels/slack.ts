/**
 * Slack, by an incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). It takes
 * about one message a second; for more it answers 429 with Retry-After. It has no key to recognize repeats, so a message
 * that may have been sent before says so.
 */
import type { Notice } from '../notice.ts';
import type { Severity } from '../words.ts';
import { type Channel, postJson, runbookAddress, type Sending } from './channel.ts';

export interface SlackSettings {
  /** Secret: it allows anyone to post. */
  readonly webhookUrl: string;
  readonly from: Severity;
  readonly runbookUrl: string | undefined;
}

/** Slack's limits: a header of 150 characters, a section of 3,000. */
const HEADER_LIMIT = 150;
const SECTION_LIMIT = 3_000;
const COLOURS = { critical: '#d32f2f', warning: '#f9a825', info: '#1e88e5', good: '#2e7d32' } as const;

export function slackChannel({ webhookUrl, from, runbookUrl }: SlackSettings): Channel {
  return {
    name: 'slack',
    from,
    perAlert: false,
    takes: () => true,
    send: (sending) =>
      postJson(webhookUrl, JSON.stringify(slackMessage(sending, runbookUrl)), sending.signal),
  };
}

/** The message: text for notifications, blocks for the channel, the colour at the side. */
export function slackMessage(
  { notice, mayRepeat }: Pick<Sending, 'notice' | 'mayRepeat'>,
  runbookUrl: string | undefined,
): object {
  const place = runbookAddress(runbookUrl, notice.runbook);
  const runbook = runbookUrl === undefined ? `Runbook: ${escaped(place)}` : `<${place}|Runbook>`;
  const foot = [escaped(notice.severity), notice.at, runbook, ...(mayRepeat ? ['may be a repeat'] : [])];
  const body = [`*${escaped(notice.message)}*`, ...notice.details.map(escaped)].join('\n');
  return {
    text: cut(`${notice.title}: ${escaped(notice.message)}`, SECTION_LIMIT),
    attachments: [
      {
        color: colourOf(notice),
        blocks: [
          { type: 'header', text: { type: 'plain_text', text: cut(notice.title, HEADER_LIMIT) } },
          { type: 'section', text: { type: 'mrkdwn', text: cut(body, SECTION_LIMIT) } },
          { type: 'context', elements: [{ type: 'mrkdwn', text: foot.join(' · ') }] },
        ],
      },
    ],
  };
}

const colourOf = ({ kind, severity }: Notice): string =>
  kind === 'resolved' || kind === 'heartbeat' ? COLOURS.good : COLOURS[severity];

/** Escapes the three characters that Slack requires. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const cut = (text: string, limit: number): string =>
  text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
