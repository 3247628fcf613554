import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { freePort } from '#engines/postgres.ts';
import { systemClock } from '#platform/lifecycle/clock.ts';
import { postJson } from './channels/channel.ts';
import { readHaproxy } from './haproxy_reader.ts';
import { readService } from './service_reader.ts';

suite('addresses with a user and password in them', () => {
  const PASSWORD = 'p@ss:word';
  const right = `Basic ${Buffer.from(`watch:${PASSWORD}`).toString('base64')}`;
  const server = createServer((request, response) => {
    if (request.headers.authorization !== right) return response.writeHead(401).end('who?');
    return response.end(request.url?.startsWith('/stats') ? '# pxname,svname,status,\n' : 'up 1\n');
  });
  const withUser = (port: number, path = '', password = PASSWORD) =>
    `http://watch:${encodeURIComponent(password)}@127.0.0.1:${port}${path}`;
  let port: number;

  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  after(() => server.close());

  const haproxy = (pageUrl: string) =>
    readHaproxy({ name: 'haproxy1', pageUrl, socket: undefined }, systemClock);
  const service = (url: string) => readService({ name: 'calls', url }, () => [], systemClock);
  const post = (url: string) => postJson(url, '{}', AbortSignal.timeout(5_000));

  test('they go into a header', async () => {
    assert.equal((await haproxy(withUser(port, '/stats'))).fault, '');
    assert.deepEqual(await service(withUser(port)).then(({ up, ready }) => [up, ready]), [true, true]);
    await post(withUser(port, '/hook'));
  });

  test('no error repeats them', async () => {
    const nobody = await freePort();
    for (const [at, password] of [
      [port, 'hush'],
      [nobody, 'hush'],
    ] as const) {
      const faults = [
        (await haproxy(withUser(at, '/stats', password))).fault,
        (await service(withUser(at, '', password))).fault,
        await post(withUser(at, '/hook', password)).then(
          () => '',
          (error: Error) => `${error.stack} ${error.cause}`,
        ),
      ];
      for (const fault of faults) {
        assert.notEqual(fault, '');
        assert.doesNotMatch(fault, /hush|watch/);
      }
    }
  });
});
