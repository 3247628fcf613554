/**
 * E-mail by SMTP. The Message-ID is that of the delivery, so that a mailbox which removes duplicates recognizes a repeat. Each
 * recipient is a channel of its own: a mailbox that refuses neither delays the mails of the others nor repeats them.
 */
import { connect, type Socket } from 'node:net';
import { createTransport } from 'nodemailer';
import type { Severity } from '../words.ts';
import { type Channel, DeliveryError, runbookAddress } from './channel.ts';

export interface EmailSettings {
  /** smtp://user:password@host:587; smtps:// for TLS from the first byte. */
  readonly smtpUrl: string;
  readonly sender: string;
  readonly to: string;
  readonly from: Severity;
  readonly runbookUrl: string | undefined;
}

/** Time limit of each step of the dialogue; the whole has the deliveries' limit. */
const STEP_TIMEOUT_MS = 8_000;

/** A channel for each recipient: `email`, `email2`, … in their order. */
export const emailChannels = (
  settings: Omit<EmailSettings, 'to'>,
  recipients: readonly string[],
): Channel[] =>
  recipients.map((to, index) =>
    emailChannel(index === 0 ? 'email' : `email${index + 1}`, { ...settings, to }),
  );

function emailChannel(name: string, { smtpUrl, sender, to, from, runbookUrl }: EmailSettings): Channel {
  const domain = sender.slice(sender.lastIndexOf('@') + 1).replace(/[^\w.-]/g, '');
  return {
    name,
    from,
    perAlert: false,
    takes: () => true,
    send: async ({ id, notice, mayRepeat, signal }) => {
      // One connection a message: alerts are rare, and a connection kept open would be dead when it is needed.
      let socket: Socket | undefined;
      const transport = createTransport({
        url: smtpUrl,
        getSocket: ({ host, port, secure }, done) => {
          socket = openSocket(host!, Number(port ?? (secure ? 465 : 587)), done);
        },
        pool: false,
        connectionTimeout: STEP_TIMEOUT_MS,
        greetingTimeout: STEP_TIMEOUT_MS,
        socketTimeout: STEP_TIMEOUT_MS,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const text = [
        notice.message,
        '',
        ...notice.details,
        '',
        `Severity: ${notice.severity}`,
        `Seen: ${notice.at}`,
        `Runbook: ${runbookAddress(runbookUrl, notice.runbook)}`,
        ...(mayRepeat ? ['This message may be a repeat.'] : []),
      ].join('\n');
      const sent = transport.sendMail({
        from: sender,
        to,
        subject: `[${notice.severity}] ${notice.title}: ${notice.message}`,
        messageId: `<${id}@${domain}>`,
        text,
        headers: { 'Auto-Submitted': 'auto-generated' },
      });
      const abort = () => transport.close();
      signal.addEventListener('abort', abort, { once: true });
      try {
        await Promise.race([sent, rejection(signal)]);
      } catch (error) {
        socket?.destroy();
        const { message, responseCode, code } = error as Error & { responseCode?: number; code?: string };
        if (responseCode === undefined) throw error;
        // A refused recipient or password comes from wrong settings, which can be mended.
        throw new DeliveryError(message, { permanent: code === 'EMESSAGE' && responseCode >= 500 });
      } finally {
        signal.removeEventListener('abort', abort);
        sent.catch(() => undefined);
        transport.close();
      }
    },
  };
}

const rejection = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

/** Opens the connection here, so that the server's name is resolved each time: nodemailer caches addresses by the wall clock. */
function openSocket(
  host: string,
  port: number,
  done: (error: Error | null, socket: { connection: Socket }) => void,
): Socket {
  const socket = connect({ host, port });
  const early = setTimeout(
    () => socket.destroy(new Error(`no connection to ${host}:${port} within ${STEP_TIMEOUT_MS} ms`)),
    STEP_TIMEOUT_MS,
  );
  const onError = (error: Error) => done(error, { connection: socket });
  socket.once('error', onError);
  socket.once('close', () => clearTimeout(early));
  socket.once('connect', () => {
    clearTimeout(early);
    socket.off('error', onError);
    done(null, { connection: socket });
  });
  return socket;
}
