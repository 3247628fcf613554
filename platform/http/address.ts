/** Addresses of HTTP servers, as URLs. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** @param host a name or an address, IPv6 without brackets */
export function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The URL of a server that listens on `host`. */
export const listeningUrl = (host: string, server: Server): string =>
  urlOf(host, (server.address() as AddressInfo).port);

/** The URL by which this machine reaches a server on `host`: loopback if the server listens on all addresses. */
export const listeningAt = (host: string, port: number): string =>
  urlOf(['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host, port);
