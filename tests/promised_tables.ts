/** Rows that are imported, and all that an import of them leaves. */
import pg from 'pg';

/** Asterisk rows as cdr_csv writes them, of accounts in turn; one in a thousand has a broken duration. */
export function asteriskRows(from: number, to: number, accounts = 7): string {
  let text = '';
  for (let row = from; row < to; row++) {
    const start = new Date(Date.UTC(2026, 9, 1) + row * 7_000).toISOString().slice(0, 19).replace('T', ' ');
    const end = new Date(Date.UTC(2026, 9, 1) + row * 7_000 + 30_000)
      .toISOString()
      .slice(0, 19)
      .replace('T', ' ');
    const billed = row % 1000 === 500 ? 'many' : '25';
    text +=
      `"acct${row % accounts}","1${String(row % 90).padStart(2, '0')}","+4420794600${String(row % 100).padStart(2, '0')}","from-internal",` +
      `"""A"" <1>","SIP/1-${row}","SIP/t-${row}","Dial","x","${start}","${start}","${end}",30,${billed},"ANSWERED",` +
      `"DOCUMENTATION","${Date.UTC(2026, 9, 1) / 1000 + row * 7}.${row}",""\n`;
  }
  return text;
}

/** All that an import leaves, except numbers that depend on how often it ran; `lines`: with where each row was read. */
export async function tables(url: string, { lines = true } = {}): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const ask = async (sql: string) => (await client.query(sql)).rows;
    return {
      calls: await ask(
        `SELECT count(*), count(DISTINCT i_cdr) AS ids, md5(string_agg(call_id || source_key || start_time || cli${lines ? ' || line' : ''}, ',' ORDER BY call_id, source_key)) AS all FROM calls.cdrs`,
      ),
      usage: await ask(
        `SELECT a.code, quarter, direction, u.country, calls, seconds, billed_seconds FROM calls.usage_quarters u JOIN calls.accounts a USING (i_account) ORDER BY 1, 2, 3, 4`,
      ),
      days: await ask(
        `SELECT a.code, day, direction, u.country, calls, seconds FROM calls.usage_days u JOIN calls.accounts a USING (i_account) ORDER BY 1, 2, 3, 4`,
      ),
      rejected: await ask(
        `SELECT ${lines ? 'line,' : ''} code, bytes FROM calls.rejected_cdrs WHERE taken_by IS NULL ORDER BY ${lines ? 'line' : 'bytes'}`,
      ),
    };
  } finally {
    await client.end();
  }
}
