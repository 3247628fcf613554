/** The rules about messages between services: queues, dead letters, the relay to RabbitMQ. */
import type { Rule } from './rule.ts';
import { highest } from './rule_measures.ts';

/** So old the oldest message that is ready may be. */
const OLD_S = 300;
/** So many messages may be ready in a queue. */
const DEEP = 50_000;
/** Without progress of the relay for so long while messages wait. */
export const RELAY_STALLED_S = 30;

const queue = { title: 'Queue Alert', source: 'service', severity: 'warning' } as const;

export const QUEUE_RULES: readonly Rule[] = [
  {
    ...queue,
    name: 'QueueOld',
    message: '{queue}: the oldest message that is ready has waited for {value} s',
    recovery: '{queue}: messages no longer wait',
    measure: highest('messages_oldest_ready_seconds', ['queue']),
    above: OLD_S,
    forS: 10,
  },
  {
    ...queue,
    name: 'QueueDeep',
    message: '{queue}: {value} messages are ready',
    recovery: `{queue}: ${DEEP} messages or fewer are ready`,
    measure: highest('messages_waiting', ['queue'], ['state', '=', 'ready']),
    above: DEEP,
    forS: 60,
  },
  {
    ...queue,
    name: 'QueuePaused',
    severity: 'info',
    message: '{queue} is paused by hand',
    recovery: '{queue} is no longer paused',
    measure: highest('messages_queue_paused', ['queue']),
    above: 0,
    forS: 0,
  },
  {
    ...queue,
    name: 'DeadLetters',
    message: '{queue}: {value} dead letters in the last 10 minutes, cause: {cause}',
    recovery: '{queue}: no new dead letters, cause: {cause}',
    measure: highest('messages_dead_letters_recent', ['queue', 'cause']),
    above: 0,
    forS: 0,
  },
  {
    ...queue,
    name: 'RelayStalled',
    message: '{service}: messages wait, and for {value} s none has reached RabbitMQ',
    recovery: '{service}: messages reach RabbitMQ again',
    measure: highest('messages_relay_stalled_seconds', ['service']),
    above: RELAY_STALLED_S,
    forS: 0,
  },
];
