/** What messages promise, through RabbitMQ. */
import { suite } from 'node:test';
import { noRabbitmq } from '#engines/rabbitmq.ts';
import { testMessages } from '#tests/messages.ts';
import { testRabbitmq } from '#tests/rabbitmq.ts';
import { messagingPromises } from './messaging.ts';

suite('through RabbitMQ', { skip: noRabbitmq }, async () => {
  const { url } = await testRabbitmq(1);
  messagingPromises(await testMessages(url));
});
