/** Where a database is. */

export interface DatabasePlace {
  /** Of the primary. */
  readonly url: string;
  /** Of its read replicas; all reads go to them where there are any. */
  readonly replicaUrls: readonly string[];
}

/** What two URLs have in common that lead to the same database with the same rights: host, port, database and user. */
export function addressOf(url: string): string {
  const { hostname, port, pathname, username, searchParams } = new URL(url);
  const given = (name: string, otherwise: string) => searchParams.get(name) ?? otherwise;
  return [given('host', hostname), given('port', port || '5432'), pathname, given('user', username)].join(
    ' ',
  );
}
