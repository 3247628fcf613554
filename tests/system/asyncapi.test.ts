/** The AsyncAPI document tells of every topic that services publish and consume, and is valid by the specification's own schema. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import specs from '@asyncapi/specs';
import { Ajv, type AnySchema } from 'ajv';
import addFormats from 'ajv-formats';
import { asyncApiOf } from '#platform/service/async_api.ts';
import { tabledOf } from '#platform/service/definition.ts';
import { SERVICES } from '#system';
import { testApi } from '#tests/calls_api.ts';
import { listenerService, publisherService } from '#tests/service_messages.ts';

interface Document {
  readonly channels: Record<string, { messages: Record<string, { $ref: string }> }>;
  readonly operations: Record<string, { action: string; channel: { $ref: string } }>;
  readonly components: { messages: Record<string, { payload: object; 'x-version': number }> };
}

// The specification's schema brings the meta-schema with it.
const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
addFormats.default(ajv);
const isValid = ajv.compile(specs.schemas['3.0.0'] as AnySchema);
const requireValid = (document: unknown) => assert.ok(isValid(document), ajv.errorsText(isValid.errors));

test('the document of all services is valid, and has each topic', () => {
  const document = asyncApiOf(SERVICES, '1.0.0') as Document;
  requireValid(JSON.parse(JSON.stringify(document)));
  const topics = tabledOf(SERVICES).flatMap(({ publishes = [] }) => publishes);
  assert.ok(topics.length > 0);
  assert.deepEqual(Object.keys(document.channels), topics.map(({ name }) => name).toSorted());
  for (const { name, version, body } of topics) {
    assert.deepEqual(document.components.messages[name]!.payload, body);
    assert.equal(document.components.messages[name]!['x-version'], version);
  }
});

test('who publishes sends, who consumes receives, and each reference leads somewhere', () => {
  const services = [publisherService(() => undefined), listenerService({ onMessage: async () => undefined })];
  const document = asyncApiOf(services, '1.0.0') as Document;
  requireValid(JSON.parse(JSON.stringify(document)));
  const at = ($ref: string) =>
    $ref
      .slice('#/'.length)
      .split('/')
      .reduce<unknown>((found, name) => (found as Record<string, unknown>)[name], document);
  assert.deepEqual(
    Object.entries(document.operations).map(([name, { action }]) => [name, action]),
    [
      ['publisher.publishes.number.counted', 'send'],
      ['publisher.publishes.number.print', 'send'],
      ['publisher.publishes.number.changed', 'send'],
      ['listener.numbers.consumes.number.counted', 'receive'],
      ['number.print.consumes.number.print', 'receive'],
      ['number.changed.consumes.number.changed', 'receive'],
    ],
  );
  for (const { channel } of Object.values(document.operations)) assert.ok(at(channel.$ref), channel.$ref);
  for (const { messages } of Object.values(document.channels))
    for (const { $ref } of Object.values(messages)) assert.ok(at($ref), $ref);
});

test('what is no AsyncAPI document is told apart from one', () => {
  const document = asyncApiOf(SERVICES, '1.0.0');
  assert.ok(!isValid({ ...document, operations: { x: { action: 'shout' } } }));
  assert.ok(!isValid({ ...document, chanels: {} }));
});

test('a service serves the document of its own messages', async () => {
  const api = await testApi();
  const { status, body } = await api.get('/asyncapi.json', null);
  assert.equal(status, 200);
  requireValid(body);
  assert.deepEqual(Object.keys(body.channels), ['account.changed', 'account.created', 'calls.imported']);
});
