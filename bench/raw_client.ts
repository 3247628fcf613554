/**
 * A PostgreSQL client of a few hundred bytes: log-in by SCRAM-SHA-256 and simple queries whose rows are skipped.
 * Thousands of them fit one process, where a driver's clients would not.
 * Formats: PostgreSQL's documentation, "Message Formats" and "SASL Authentication".
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type ScramKeys, scramKeys } from '#engines/cluster/scram.ts';

const PROTOCOL_3 = 196_608;
const AUTH_OK = 0;
const AUTH_SASL = 10;
const AUTH_SASL_CONTINUE = 11;
const AUTH_SASL_FINAL = 12;

export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface RawClient {
  /** Sends a simple query; resolves when the server is ready for the next one. */
  query(sql: string): Promise<void>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<void>;
  close(): void;
}

/** One user has one salt: the 4096 rounds are done once a process, not once a client. */
const keysBySalt = new Map<string, ScramKeys>();

/** @throws Error with the server's words, or of the socket, when the log-in fails or takes longer than `limitMs` */
export function openRawClient(login: Login, limitMs: number): Promise<RawClient> {
  return new Promise((opened, failed) => {
    const socket = connect(login.port, login.host);
    socket.setNoDelay(true);
    let ready: { resolve: () => void; reject: (error: Error) => void } | undefined;
    let markClosed = () => {};
    const closed = new Promise<void>((resolve) => {
      markClosed = resolve;
    });
    const limit = setTimeout(() => socket.destroy(new Error(`no answer in ${limitMs} ms`)), limitMs);
    const fail = (error: Error) => {
      clearTimeout(limit);
      failed(error);
      ready?.reject(error);
      ready = undefined;
    };
    const client: RawClient = {
      closed,
      query: (sql) =>
        new Promise((resolve, reject) => {
          if (socket.destroyed) return reject(new Error('the connection has ended'));
          ready = { resolve, reject };
          socket.write(message('Q', `${sql}\0`));
        }),
      close: () => socket.end(message('X', '')),
    };
    const answer = scramDialogue(login, socket);
    readMessages(socket, (type, body) => {
      if (type === 'R') answer(body);
      else if (type === 'E') {
        const words = errorWords(body);
        if (ready) ready.reject(new Error(words));
        ready = undefined;
        failed(new Error(words));
      } else if (type === 'Z') {
        clearTimeout(limit);
        opened(client);
        ready?.resolve();
        ready = undefined;
      }
    });
    socket.once('connect', () => socket.write(startup(login)));
    socket.once('error', fail);
    socket.once('close', () => {
      fail(new Error('the connection was closed'));
      markClosed();
    });
  });
}

/** Cuts the stream into messages: a type byte, a length that counts itself, the body. */
function readMessages(socket: Socket, take: (type: string, body: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 5) {
      const end = 1 + rest.readInt32BE(1);
      if (rest.length < end) return;
      take(String.fromCharCode(rest[0]!), rest.subarray(5, end));
      rest = rest.subarray(end);
    }
    if (rest.length === 0) rest = Buffer.alloc(0);
  });
}

function startup({ user, database }: Login): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0connections bench\0\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(8 + body.length, 0);
  head.writeInt32BE(PROTOCOL_3, 4);
  return Buffer.concat([head, body]);
}

function message(type: string, body: string | Buffer): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(4 + bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The client's side of RFC 5802; the server's signature is not checked: a benchmark does not fear its own server. */
function scramDialogue(login: Login, socket: Socket): (body: Buffer) => void {
  const nonce = randomBytes(18).toString('base64');
  const first = `n=,r=${nonce}`;
  return (body) => {
    const kind = body.readInt32BE(0);
    if (kind === AUTH_SASL) {
      const words = Buffer.from(`n,,${first}`);
      const length = Buffer.alloc(4);
      length.writeInt32BE(words.length);
      socket.write(message('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), length, words])));
    } else if (kind === AUTH_SASL_CONTINUE) {
      socket.write(message('p', finalWords(login.password, first, body.subarray(4).toString())));
    } else if (kind !== AUTH_OK && kind !== AUTH_SASL_FINAL) {
      socket.destroy(
        new Error(`the server wants authentication ${kind}; SCRAM-SHA-256 is all that is known here`),
      );
    }
  };
}

function finalWords(password: string, first: string, server: string): string {
  const parts = new Map(server.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
  const salt = parts.get('s') ?? '';
  let keys = keysBySalt.get(salt);
  if (!keys) {
    keys = scramKeys(password, Buffer.from(salt, 'base64'), Number(parts.get('i')));
    keysBySalt.set(salt, keys);
  }
  const { clientKey } = keys;
  const withoutProof = `c=biws,r=${parts.get('r')}`;
  const signature = createHmac('sha256', createHash('sha256').update(clientKey).digest())
    .update(`${first},${server},${withoutProof}`)
    .digest();
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
  return `${withoutProof},p=${proof.toString('base64')}`;
}

/** Fields of an ErrorResponse: a letter, text, 0. */
function errorWords(body: Buffer): string {
  const fields = body.toString().split('\0');
  return fields.find((field) => field.startsWith('M'))?.slice(1) ?? 'an error without words';
}
