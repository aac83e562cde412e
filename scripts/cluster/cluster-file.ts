import {mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

/** `out/cluster.json`: what the demo, the tests and the benchmarks need to know of the cluster. */
export interface ClusterFile {
  readonly kind: 'bare' | 'kind' | 'external';
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** For example `v1.37.2`. */
  readonly serverVersion: string;
  /** The ingress as reached by a command run with `exec`. */
  readonly ingress: {readonly http: string; readonly https: string};
  /** The ingress as reached from the host, for example by a browser. */
  readonly forward: {readonly http: string; readonly https: string};
  /** Arguments to put before a command so that it runs in the cluster's network, with kubectl and helm on its PATH. */
  readonly exec: readonly string[];
  readonly nodes: readonly string[];
  /** The API server's audit log (level Metadata, a JSON event a line); absent where it cannot be read. */
  readonly auditLog?: string;
}

const pathIn = (out: string): string => join(out, 'cluster.json');

export function writeClusterFile(out: string, file: ClusterFile): void {
  mkdirSync(out, {recursive: true});
  writeFileSync(pathIn(out), `${JSON.stringify(file, null, 2)}\n`);
}

export function removeClusterFile(out: string): void {
  rmSync(pathIn(out), {force: true});
}
