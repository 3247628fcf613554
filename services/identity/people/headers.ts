/** Names of headers and cookies. This file is apart from better_auth.ts, which loads Better Auth. */

/** The client's address, as identity tells Better Auth: no header of the client's is read for it. */
export const ADDRESS_HEADER = 'x-identity-client';

/** Over https a browser takes a cookie of this name from https alone, for this host alone. */
export const cookiePrefixOf = (publicUrl: string): string =>
  publicUrl.startsWith('https:') ? '__Host-trunkline' : 'trunkline';

/** A `Cookie` header without the cookie of this name. */
export const withoutCookie = (header: string, name: string): string =>
  header
    .split(/; */)
    .filter((part) => !part.startsWith(`${name}=`))
    .join('; ');
