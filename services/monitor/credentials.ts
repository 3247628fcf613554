/**
 * Addresses with a user and password, as for HAProxy's `stats auth` and many webhooks. `fetch` refuses such
 * an address with an error that repeats the password, into the log and the API. So user and password go into a header.
 */

export interface Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** The address without user and password, and the header (Basic) that has them. */
export function splitCredentials(address: string): Request {
  const url = new URL(address);
  if (url.username === '' && url.password === '') return { url: address, headers: {} };
  const [user, password] = [url.username, url.password].map((part) => decodeURIComponent(part));
  url.username = '';
  url.password = '';
  const given = Buffer.from(`${user}:${password}`).toString('base64');
  return { url: url.href, headers: { authorization: `Basic ${given}` } };
}
