/**
 * Strict receivers of Slack messages and signed webhooks, on loopback: they reject what the real ones reject, with the
 * real ones' errors. Drills and tests see in them which messages are delivered.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Receiver<Message> {
  readonly url: string;
  /** Accepted messages, in order. */
  readonly taken: Message[];
  /** The time of each accepted message, by performance.now(). */
  readonly takenAt: number[];
  /** Rejected messages, with the reasons. */
  readonly rejected: string[];
  /** Answers a request otherwise: hangs, or sends a status; undefined: the normal answer. */
  misbehave:
    | ((attempt: number) => { status: number; headers?: Record<string, string> } | 'hang' | undefined)
    | undefined;
  /** Accepts connections and never answers. */
  silent: boolean;
  stop(): Promise<void>;
}

/** @throws Error with the answer's text when a message is invalid */
type Check<Message> = (body: string, request: IncomingMessage) => Message;

/**
 * Accepts POSTs of JSON at one path.
 * @param check parses a body into a message, or throws its fault
 */
export async function httpReceiver<Message>(
  path: string,
  answers: { readonly status: number; readonly body: string; readonly rejectStatus: number },
  check: Check<Message>,
): Promise<Receiver<Message>> {
  let attempts = 0;
  const receiver = { taken: [], takenAt: [], rejected: [] } as unknown as {
    -readonly [K in keyof Receiver<Message>]: Receiver<Message>[K];
  };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const fault = receiver.misbehave?.(++attempts);
    if (fault === 'hang') return;
    if (fault) return end(response, fault.status, 'misbehaving', fault.headers);
    try {
      if (request.method !== 'POST' || request.url !== path) throw new Error('no_service');
      if (!request.headers['content-type']?.startsWith('application/json'))
        throw new Error('invalid_payload');
      receiver.taken.push(check(body, request));
      receiver.takenAt.push(performance.now());
      if (!receiver.silent) end(response, answers.status, answers.body);
    } catch (error) {
      receiver.rejected.push(`${(error as Error).message}: ${body}`);
      end(response, answers.rejectStatus, (error as Error).message);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  receiver.stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return receiver;
}

const end = (response: ServerResponse, status: number, body: string, headers: object = {}) =>
  response.writeHead(status, { 'content-type': 'text/plain', ...headers }).end(body);

/** @throws Error with this text where the condition is false */
export const must = (holds: unknown, words: string): void => {
  if (!holds) throw new Error(words);
};

export interface SlackMessage {
  readonly text: string;
  readonly attachments: readonly { color: string; blocks: readonly Record<string, unknown>[] }[];
}

/** An incoming webhook. */
export const slackReceiver = (): Promise<Receiver<SlackMessage>> =>
  httpReceiver('/services/T000/B000/XXXX', { status: 200, body: 'ok', rejectStatus: 400 }, (body) => {
    const message = parsed(body, 'invalid_payload') as unknown as SlackMessage;
    must(typeof message.text === 'string' && message.text.length > 0, 'no_text');
    must(message.text.length <= 40_000, 'msg_too_long');
    must(
      Object.keys(message).every((key) => ['text', 'attachments', 'blocks'].includes(key)),
      'invalid_payload',
    );
    for (const { color, blocks } of message.attachments) {
      must(/^#[0-9a-f]{6}$/.test(color), 'invalid_attachments');
      must(blocks.length >= 1 && blocks.length <= 50, 'invalid_blocks');
      for (const block of blocks) checkBlock(block as never);
    }
    return message;
  });

interface Text {
  readonly type: string;
  readonly text: string;
}

function checkBlock(block: { type: string; text?: Text; elements?: readonly Text[] }) {
  const isText = (text: Text | undefined, type: string[], limit: number) =>
    text !== undefined && type.includes(text.type) && text.text.length >= 1 && text.text.length <= limit;
  const noStrayMarkup = (text: string) => !/<(?!https?:[^<>]*>)|&(?!amp;|lt;|gt;)/.test(text);
  switch (block.type) {
    case 'header':
      return must(isText(block.text, ['plain_text'], 150), 'invalid_blocks');
    case 'section':
      must(isText(block.text, ['plain_text', 'mrkdwn'], 3_000), 'invalid_blocks');
      return must(noStrayMarkup(block.text!.text), 'unescaped text');
    case 'context':
      must(block.elements && block.elements.length >= 1 && block.elements.length <= 10, 'invalid_blocks');
      return must(
        block.elements!.every(
          (text) => isText(text, ['plain_text', 'mrkdwn'], 3_000) && noStrayMarkup(text.text),
        ),
        'invalid_blocks',
      );
    default:
      throw new Error('invalid_blocks');
  }
}

export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export interface WebhookMessage {
  readonly webhookId: string;
  readonly title: string;
  readonly message: string;
  readonly kind: string;
  readonly severity: string;
  readonly details: readonly string[];
  /** Keys of the alerts in the message. */
  readonly keys: readonly string[];
  /** Address of the rule's section in the runbook. */
  readonly runbook: string;
}

/** Checks signatures and age as in Standard Webhooks. */
export const webhookReceiver = (): Promise<Receiver<WebhookMessage>> =>
  httpReceiver('/hook', { status: 204, body: '', rejectStatus: 401 }, (body, request) => {
    const header = (name: string) => String(request.headers[`webhook-${name}`] ?? '');
    const [id, timestamp, given] = [header('id'), header('timestamp'), header('signature')];
    must(id !== '' && Math.abs(Date.now() / 1_000 - Number(timestamp)) < 300, 'too old');
    const right = createHmac('sha256', Buffer.alloc(32, 7)).update(`${id}.${timestamp}.${body}`).digest();
    const signature = Buffer.from(given.replace(/^v1,/, ''), 'base64');
    must(signature.length === right.length && timingSafeEqual(signature, right), 'wrong signature');
    return { ...(parsed(body, 'no JSON') as unknown as WebhookMessage), webhookId: id };
  });

/** @throws Error with this text where the body is no JSON */
export function parsed(body: string, words: string): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    throw new Error(words);
  }
}
