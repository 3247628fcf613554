/** Addresses of HTTP servers as they stand in a URL. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** @param host a name or an address, IPv6 without brackets */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Where a server is reached that listens on `host`. */
export const listeningUrl = (host: string, server: Server): string =>
  urlOf(host, (server.address() as AddressInfo).port);

/** Where this machine reaches what listens on `host`: what listens everywhere is asked on loopback. */
export const listeningAt = (host: string, port: number): string =>
  urlOf(['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host, port);
