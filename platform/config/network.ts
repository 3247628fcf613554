/** Networks, as people write them in settings. */
import { isIP } from 'node:net';

/** A network as `10.0.0.0/8`, or one address. */
export interface Network {
  readonly address: string;
  readonly prefix: number;
}

/** @returns undefined for a text that is no network, and for networks that hold every address */
export function readNetwork(text: string): Network | undefined {
  const [, address = '', given] = /^([\da-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text.trim()) ?? [];
  const family = isIP(address);
  if (family === 0) return undefined;
  const longest = family === 4 ? 32 : 128;
  const prefix = given === undefined ? longest : Number(given);
  return prefix >= 1 && prefix <= longest ? { address, prefix } : undefined;
}
