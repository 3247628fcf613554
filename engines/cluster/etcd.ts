/** etcd's HTTP interface, limited to its health check. */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import type { Etcd } from './layout.ts';

/** @throws Error when etcd does not answer, or reports that it is not healthy */
export async function etcdHealth({ host, port }: Etcd, limitMs: number): Promise<void> {
  const { ok, status } = await askOutside(`http://${host}:${port}/health`, {
    limitMs,
    limitBytes: FEW_BYTES,
    longer: 'cut',
  });
  if (!ok) throw new Error(`etcd answers ${status}`);
}
