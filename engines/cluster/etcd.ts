/** etcd's HTTP interface, as far as it is asked whether it is well. */
import { askOutside, FEW_BYTES } from '#platform/http/outside.ts';
import type { Etcd } from './layout.ts';

/** @throws Error when it does not answer, or answers that it is not well */
export async function etcdHealth({ host, port }: Etcd, limitMs: number): Promise<void> {
  const { ok, status } = await askOutside(`http://${host}:${port}/health`, {
    limitMs,
    limitBytes: FEW_BYTES,
    longer: 'cut',
  });
  if (!ok) throw new Error(`etcd answers ${status}`);
}
