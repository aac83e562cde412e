import {readFileSync} from 'node:fs';
import {join} from 'node:path';

/** The checkout's root: tests of packages are run from there. */
export const ROOT = join(import.meta.dirname, '../../..');

const readJson = (path: string, madeBy: string): unknown => {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
  } catch (cause) {
    throw new Error(`${path} cannot be read; run \`${madeBy}\` first`, {cause});
  }
};

/** Where the local cluster is, as `make up` wrote it. */
export interface ClusterFile {
  readonly kind: 'bare' | 'kind' | 'external';
  readonly kubeconfig: string;
  readonly ingress: {readonly http: string};
  readonly auditLog?: string;
}
// Written by our own cluster program; a missing field shows in the first test that uses it.
export const clusterFile = (): ClusterFile => readJson('out/cluster.json', 'make up') as ClusterFile;

/** Image names by part, as `make images` wrote them. */
export interface ImagesFile {
  readonly service: string;
  readonly operator: string;
  readonly postgres: string;
  readonly rabbitmq: string;
  readonly redis: string;
}
// Written by our own image program, see above.
export const imagesFile = (): ImagesFile => readJson('out/images.json', 'make images') as ImagesFile;
