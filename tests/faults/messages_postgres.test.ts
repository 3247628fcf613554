/** Messages in PostgreSQL whose consumers are killed and frozen. */
import { consumersOf, messagingFaults } from '#tests/conformance/messaging_faults.ts';
import { testMessages } from '#tests/messages.ts';

const messages = await testMessages();
messagingFaults(messages, consumersOf(messages), 10);
