/** PagerDuty and a mail server, beside the receivers of drills: as strict as the real ones, in their words. */
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { httpReceiver, must, parsed, type Receiver } from '#engines/alert_receivers.ts';

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

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** A mail server for example.com alone (RFC 5321, RFC 5322): order of commands, CRLF, line length, headers. */
export async function mailReceiver(): Promise<Receiver<Mail>> {
  const receiver = { taken: [], takenAt: [], rejected: [], misbehave: undefined } as unknown as {
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

function converse(socket: Socket, receiver: Pick<Receiver<Mail>, 'taken' | 'takenAt' | 'rejected'>): void {
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
      receiver.takenAt.push(performance.now());
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
