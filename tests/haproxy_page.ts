/** HAProxy's statistics page as a test wants it, where no real HAProxy is needed: the columns that the monitor reads. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const COLUMNS =
  'pxname,svname,scur,slim,stot,rate,econ,eresp,wretr,wredis,status,chkdown,lastchg,downtime,check_status';

export interface HaproxyPage {
  readonly url: string;
  /** Status of each server of the backend `bouncers`. */
  readonly servers: Record<string, 'UP' | 'DOWN'>;
  stop(): Promise<void>;
}

export async function startHaproxyPage(names: readonly string[]): Promise<HaproxyPage> {
  const servers: HaproxyPage['servers'] = Object.fromEntries(names.map((name) => [name, 'UP']));
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    const rows = Object.entries(servers).map(
      ([name, status]) => `bouncers,${name},5,,100,1,0,0,0,0,${status},0,900,0,L7OK,`,
    );
    const frontend = `writes,FRONTEND,5,9000,${1_000 + asked},1,0,0,0,0,OPEN,0,0,0,,`;
    response.end(`# ${COLUMNS},\n${[frontend, ...rows].join('\n')}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/stats`,
    servers,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
