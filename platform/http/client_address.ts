/**
 * Finds the client for which a request counts. A request through a trusted proxy counts for the address that
 * the proxy names in `X-Forwarded-For`. Any other client could write a false address there, so its header is ignored.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';
import type { Network } from '#platform/config/network.ts';

/** IPv6 providers give a subscriber at least a /64: the subscriber may send each request from another address of it. */
const IPV6_NETWORK_GROUPS = 4;
const IPV4_IN_IPV6 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Some proxies write the port as well: 203.0.113.7:51234, [2001:db8::1]:51234. */
const WITH_PORT = /^(?:(?<v4>\d+\.\d+\.\d+\.\d+)|\[(?<v6>[\da-f:.]+)\])(?::\d{1,5})?$/i;

/** An address without its port, an IPv4-mapped address as IPv4; undefined if the text is no address. */
function plainAddress(text: string): string | undefined {
  const { v4, v6 } = WITH_PORT.exec(text.trim())?.groups ?? {};
  const address = (v4 ?? v6 ?? text.trim()).split('%', 1)[0]!;
  if (isIP(address) === 0) return undefined;
  return IPV4_IN_IPV6.exec(address)?.[1] ?? address;
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6');

/** Whether a proxy at an address is trusted, in the form of Fastify's `trustProxy`. */
export function trustOf(networks: readonly Network[]): (address: string) => boolean {
  const trusted = new BlockList();
  for (const { address, prefix } of networks) trusted.addSubnet(address, prefix, familyOf(address));
  return (text) => {
    const address = plainAddress(text);
    return address !== undefined && trusted.check(address, familyOf(address));
  };
}

/**
 * The client for which a request counts: an IPv4 address, or the /64 of an IPv6 address. If a trusted proxy's header has
 * no valid address, the request counts for the proxy: a client must not escape its count by a strange header.
 */
export function clientOf(request: {
  readonly ip: string;
  readonly socket: { readonly remoteAddress?: string | undefined };
}): string {
  const address = plainAddress(request.ip) ?? plainAddress(request.socket.remoteAddress ?? '');
  if (address === undefined) return 'unknown';
  return isIPv4(address) ? address : `${groupsOf(address).slice(0, IPV6_NETWORK_GROUPS).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<string>(zeros).fill('0'), ...after];
}
