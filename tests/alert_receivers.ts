/**
 * Slack, PagerDuty, a signed webhook's receiver and a mail server, on loopback and strict: what the real ones would
 * reject, they reject, with the real one's words.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';

export interface Receiver<Message> {
  readonly url: string;
  /** Messages that were taken, in order. */
  readonly taken: Message[];
  /** What was rejected, with why. */
  readonly rejected: string[];
  /** Does something else with a request: hangs, or answers a status; undefined: as it should. */
  misbehave:
    | ((attempt: number) => { status: number; headers?: Record<string, string> } | 'hang' | undefined)
    | undefined;
  /** Takes messages and never answers. */
  silent: boolean;
  stop(): Promise<void>;
}

/** @throws Error with the words of the answer when a message is not right */
type Check<Message> = (body: string, request: IncomingMessage) => Message;

async function httpReceiver<Message>(
  path: string,
  answers: { readonly status: number; readonly body: string; readonly rejectStatus: number },
  check: Check<Message>,
): Promise<Receiver<Message>> {
  let attempts = 0;
  const receiver = { taken: [] as Message[], rejected: [] as string[] } as unknown as {
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

const must = (holds: unknown, words: string): void => {
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

export interface PagerDutyEvent {
  readonly event_action: 'trigger' | 'acknowledge' | 'resolve';
  readonly dedup_key: string;
  readonly payload?: { readonly summary: string; readonly severity: string };
}

export const ROUTING_KEY = '0123456789abcdef0123456789abcdef';

/** Events API v2. `open` holds the incidents that it makes of the events. */
export async function pagerDutyReceiver(): Promise<
  Receiver<PagerDutyEvent> & { readonly open: Set<string> }
> {
  const open = new Set<string>();
  const answers = { status: 202, body: '{"status":"success"}', rejectStatus: 400 };
  const receiver = await httpReceiver('/v2/enqueue', answers, (body) => {
    const event = parsed(body, 'invalid event') as Record<string, unknown>;
    must(event.routing_key === ROUTING_KEY, "'routing_key' is invalid");
    const action = event.event_action as PagerDutyEvent['event_action'];
    must(['trigger', 'acknowledge', 'resolve'].includes(action), "'event_action' is invalid");
    const key = event.dedup_key;
    must(typeof key === 'string' && key.length >= 1 && key.length <= 255, "'dedup_key' is invalid");
    if (action === 'trigger') {
      const payload = event.payload as Record<string, unknown> | undefined;
      must(payload, "'payload' is missing or blank");
      const { summary, source, severity, timestamp } = payload!;
      must(typeof summary === 'string' && summary !== '' && summary.length <= 1_024, "'payload.summary'");
      must(typeof source === 'string' && source !== '', "'payload.source' is missing or blank");
      must(
        ['critical', 'error', 'warning', 'info'].includes(String(severity)),
        "'payload.severity' is invalid",
      );
      must(timestamp === undefined || !Number.isNaN(Date.parse(String(timestamp))), "'payload.timestamp'");
      for (const link of (event.links ?? []) as { href: string }[]) must(URL.canParse(link.href), "'links'");
      open.add(key as string);
    } else if (action === 'resolve') open.delete(key as string);
    return event as unknown as PagerDutyEvent;
  });
  return Object.assign(receiver, { open });
}

export const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export interface WebhookMessage {
  readonly webhookId: string;
  readonly title: string;
  readonly message: string;
  readonly kind: string;
  readonly details: readonly string[];
}

/** Checks signatures and age as Standard Webhooks wants it. */
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

function parsed(body: string, words: string): object {
  try {
    return JSON.parse(body) as object;
  } catch {
    throw new Error(words);
  }
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** A mail server for example.com alone (RFC 5321, RFC 5322): order of commands, CRLF, line length, headers. */
export async function mailReceiver(): Promise<Receiver<Mail>> {
  const receiver = { taken: [] as Mail[], rejected: [] as string[], misbehave: undefined } as {
    -readonly [K in keyof Receiver<Mail>]: Receiver<Mail>[K];
  };
  const sockets = new Set<Socket>();
  let attempts = 0;
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    const fault = receiver.misbehave?.(++attempts);
    if (fault === 'hang') return;
    if (fault) return void socket.end(`${fault.status} not now\r\n`);
    converse(socket, receiver);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  receiver.url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  receiver.stop = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return receiver;
}

function converse(socket: Socket, receiver: Pick<Receiver<Mail>, 'taken' | 'rejected'>): void {
  let [buffer, greeted, from, data] = ['', false, '', undefined as string[] | undefined];
  let to: string[] = [];
  const say = (line: string) => {
    if (/^5/.test(line)) receiver.rejected.push(line);
    socket.write(`${line}\r\n`);
  };
  const onLine = (line: string) => {
    if (data) {
      if (line !== '.') return void data.push(line.startsWith('.') ? line.slice(1) : line);
      const lines = data;
      data = undefined;
      const fault = mailFault(lines);
      if (fault) return say(`550 5.6.0 ${fault}`);
      receiver.taken.push({ from, to, ...readMail(lines) });
      return say('250 2.0.0 queued');
    }
    const [, verb = '', rest = ''] = /^(\w+) ?(.*)$/.exec(line) ?? [];
    switch (verb.toUpperCase()) {
      case 'EHLO':
        greeted = rest !== '';
        return say(greeted ? '250 example.com' : '501 5.5.4 a name is needed');
      case 'MAIL':
        if (!greeted || from !== '') return say('503 5.5.1 bad sequence of commands');
        from = /^FROM:<([^>]+@[^>]+)>/i.exec(rest)?.[1] ?? '';
        return say(from ? '250 2.1.0 ok' : '501 5.1.7 bad sender');
      case 'RCPT': {
        if (from === '') return say('503 5.5.1 bad sequence of commands');
        const address = /^TO:<([^>]+)>$/i.exec(rest)?.[1] ?? '';
        if (!address.endsWith('@example.com')) return say('550 5.7.1 relaying denied');
        to = [...to, address];
        return say('250 2.1.5 ok');
      }
      case 'DATA':
        if (to.length === 0) return say('503 5.5.1 bad sequence of commands');
        data = [];
        return say('354 go on');
      case 'QUIT':
        say('221 2.0.0 bye');
        return void socket.end();
      case 'RSET':
        [from, to] = ['', []];
        return say('250 2.0.0 ok');
      default:
        return say('502 5.5.2 unknown command');
    }
  };
  say('220 example.com ESMTP');
  socket.setEncoding('utf8').on('data', (chunk) => {
    buffer += chunk;
    if (/(^|[^\r])\n/.test(buffer)) return void socket.end('521 5.5.2 bare line feed\r\n');
    for (let at = buffer.indexOf('\r\n'); at >= 0; at = buffer.indexOf('\r\n')) {
      const line = buffer.slice(0, at);
      buffer = buffer.slice(at + 2);
      onLine(line);
    }
  });
}

function mailFault(lines: readonly string[]): string | undefined {
  if (lines.some((line) => Buffer.byteLength(line) > 998)) return 'a line is too long';
  const { headers } = readMail(lines);
  const missing = ['from', 'to', 'date', 'message-id', 'subject'].find((name) => !headers[name]);
  if (missing) return `the message has no ${missing}`;
  return /^<[^\s<>]+@[^\s<>]+>$/.test(headers['message-id']!) ? undefined : 'bad Message-ID';
}

function readMail(lines: readonly string[]): Pick<Mail, 'headers' | 'text'> {
  const blank = lines.indexOf('');
  const folded = lines
    .slice(0, blank)
    .join('\n')
    .replace(/\n[ \t]+/g, ' ');
  const headers = folded.split('\n').map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { headers: Object.fromEntries(headers), text: lines.slice(blank + 1).join('\n') };
}
