/**
 * Whether a node of RabbitMQ works, asked again and again. The connection stays open between two questions: a new one for each
 * would fill the node's log.
 */
import type { Channel } from 'rabbitmq-client';
import { connectionOf } from './broker.ts';

export interface BrokerProbe {
  /** Resolves once the node has answered a request of AMQP. It may take for ever: the caller has a limit. */
  ask(): Promise<void>;
  close(): Promise<void>;
}

/** @param url of one node: amqp://user:password@host:port */
export function createBrokerProbe(url: string): BrokerProbe {
  const connection = connectionOf(url);
  let fault = '';
  connection.on('error', (error) => {
    fault = String((error as Error).message);
  });
  let channel: Channel | undefined;
  /** A node that is frozen answers none of the questions; one of them is enough. */
  let asking: Promise<void> | undefined;

  async function askNow(): Promise<void> {
    if (!channel?.active) channel = await connection.acquire();
    await channel.basicQos({ prefetchCount: 1 });
  }

  return {
    ask: () => {
      asking ??= askNow()
        .catch((error: Error) => {
          throw new Error(connection.ready ? error.message : fault || error.message);
        })
        .finally(() => {
          asking = undefined;
        });
      return asking;
    },
    close: async () => connection.unsafeDestroy(),
  };
}
