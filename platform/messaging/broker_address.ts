/** Where RabbitMQ is: one node, or several of a cluster with commas between. */

/** What an address must look like, for people. */
export const BROKER_ADDRESS_FORM =
  'amqp://user:password@host:port, or several that differ in host and port alone, with commas between';

/** Reads the addresses of a broker's nodes, at least one; undefined: they are none. */
export function readBrokerUrls(text: string): URL[] | undefined {
  const parts = text.split(',').map((part) => part.trim());
  if (!parts.every((part) => URL.canParse(part))) return undefined;
  const urls = parts.map((part) => new URL(part));
  const [first] = urls;
  const isAsFirst = (url: URL) =>
    (['protocol', 'username', 'password', 'pathname'] as const).every(
      (field) => url[field] === first![field],
    );
  return /^amqps?:$/.test(first!.protocol) && urls.every((url) => url.hostname !== '' && isAsFirst(url))
    ? urls
    : undefined;
}
