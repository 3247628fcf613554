/** What a service says to PostgreSQL: a way between the two that listens to each statement as it goes by. */
import { connect, createServer, type Socket } from 'node:net';
import { after } from 'node:test';

export interface StatementLog {
  /** Of a database that is reached through here. */
  readonly url: string;
  /** Every statement that was run, in order, by its text. */
  readonly statements: string[];
}

/** Startup has no type; the messages of a client that has come in do. https://www.postgresql.org/docs/current/protocol-message-formats.html */
const HEADER_BYTES = 5;

/** Listens between a service and the PostgreSQL at `url`; closed after the file's last test. */
export async function logStatements(url: string): Promise<StatementLog> {
  const { hostname, port } = new URL(url);
  const statements: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    const listen = listener(statements);
    client.on('data', listen);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String((server.address() as { port: number }).port);
  return { url: through.href, statements };
}

/** Follows one connection. A statement with a name is sent once and then only named. */
function listener(statements: string[]): (chunk: Buffer) => void {
  const byName = new Map<string, string>();
  let rest: Buffer = Buffer.alloc(0);
  let started = false;
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const header = started ? HEADER_BYTES : HEADER_BYTES - 1;
      if (rest.length < header) return;
      const length = rest.readUInt32BE(header - 4) + header - 4;
      if (rest.length < length) return;
      if (started) hear(String.fromCharCode(rest[0]!), rest.subarray(HEADER_BYTES, length));
      started = true;
      rest = rest.subarray(length);
    }
  };

  function hear(type: string, body: Buffer): void {
    const texts = body.toString().split('\0');
    if (type === 'Q') statements.push(texts[0]!);
    else if (type === 'P') byName.set(texts[0]!, texts[1]!);
    else if (type === 'B') statements.push(byName.get(texts[1]!)!);
  }
}
