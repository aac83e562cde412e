import {join} from 'node:path';
import {type ClusterAccess, readImages} from './cluster-access.ts';

/** Installs or upgrades the operator with the chart of a checkout and the images that were built from it; resolves when it runs. */
export const install = async (cluster: ClusterAccess, checkout: string): Promise<void> => {
  const images = readImages(join(checkout, 'out'));
  const values = (['operator', 'service', 'postgres', 'rabbitmq', 'redis'] as const).flatMap((name) => [
    '--set-string',
    `images.${name}=${images[name]}`,
  ]);
  const chart = join(checkout, 'charts', 'pisync');
  await cluster.run([
    'helm',
    'upgrade',
    '--install',
    'pisync',
    chart,
    '--namespace',
    'pisync-system',
    '--create-namespace',
    // A definition that somebody applied by hand before is taken over instead of refused.
    '--take-ownership',
    '--wait',
    '--timeout',
    '5m',
    ...values,
  ]);
};
