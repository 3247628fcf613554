/** Readers of settings: each parses a text, or throws a fault that names the right form. */
import { isAbsolute, resolve } from 'node:path';
import { type Network, readNetwork } from './network.ts';

/** A text that can't be read as the setting's value; the message names the right form. */
export class Fault extends Error {}

export const asText = (text: string) => text;

export const asFolder = (text: string) => (isAbsolute(text) ? text : resolve(text));

export function asWhole(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new Fault(`a whole number from ${min} to ${max}`);
    return value;
  };
}

/** From 0 to 1. */
export function asShare(text: string): number {
  const share = Number(text);
  if (!/^\d*\.?\d+$/.test(text) || share > 1) throw new Fault('a share from 0 to 1, such as 0.01');
  return share;
}

/** `name=value` pairs, separated by commas; values are written as in addresses (%20 is a space). */
export function asHeaders(text: string): Readonly<Record<string, string>> {
  const right = new Fault('headers such as authorization=Bearer%20abc, separated by commas');
  return Object.fromEntries(
    text.split(',').map((pair) => {
      const [, name, value] = /^\s*([!#$%&'*+.^`|~\w-]+)\s*=(.*)$/.exec(pair) ?? [];
      if (name === undefined) throw right;
      try {
        return [name, decodeURIComponent(value!.trim())];
      } catch {
        throw right;
      }
    }),
  );
}

export const asPort = asWhole(0, 65_535);

export function asUrl(...protocols: string[]) {
  return (text: string): string => {
    if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
      throw new Fault(`a URL that begins with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    return text;
  };
}

export const asPostgresUrl = asUrl('postgres:', 'postgresql:');

export function asOneOf<const T extends string>(...words: T[]) {
  return (text: string): T => {
    const word = words.find((w) => w === text);
    if (word === undefined) throw new Fault(`one of: ${words.join(', ')}`);
    return word;
  };
}

export function asOrigins(text: string): string[] {
  const origins = text.split(',').map((part) => part.trim());
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      const right = URL.canParse(origin) ? new URL(origin).origin : 'null';
      const near = right === 'null' ? '' : ` (an origin has no slash or path at its end: ${right})`;
      throw new Fault(`origins such as https://console.example.com, separated by commas${near}`);
    }
  }
  return origins;
}

export function asNetworks(text: string): Network[] {
  return (text === '' ? [] : text.split(',')).map((part) => {
    const network = readNetwork(part);
    if (!network)
      throw new Fault('addresses or networks such as 127.0.0.1,10.0.0.0/8, and not every address');
    return network;
  });
}

export function asTimeZone(text: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone && text;
  } catch {
    throw new Fault('a time zone of the IANA database, such as Europe/Berlin');
  }
}

export function asPattern(pattern: RegExp, right: string) {
  return (text: string): string => {
    if (!pattern.test(text)) throw new Fault(right);
    return text;
  };
}

/** `name=address` pairs, separated by commas; `read` parses the addresses. */
export function asNamed<T>(right: string, read: (address: string) => T | undefined) {
  return (text: string): (T & { readonly name: string })[] =>
    (text === '' ? [] : text.split(',')).map((part) => {
      const [, name, address] = /^\s*([\w-]+)=(\S+)\s*$/.exec(part) ?? [];
      const found = address === undefined ? undefined : read(address);
      if (name === undefined || found === undefined) throw new Fault(right);
      return { name, ...found };
    });
}
