/** What messages promise, on the queue in PostgreSQL. */
import { testMessages } from '#tests/messages.ts';
import { messagingPromises } from './messaging.ts';

messagingPromises(await testMessages());
