import {join} from 'node:path';
import {imagesFile, ROOT} from './files.ts';
import {kubectlIn, type Kubectl, type KubeObject} from './kubectl.ts';
import {runOk} from './run.ts';

export const OPERATOR_NAMESPACE = 'pisync-system';
export const RELEASE = 'pisync';

/** Installs or upgrades the chart with the images of this checkout; returns when the operator is Ready. */
export async function helmInstall(extra: readonly string[] = []): Promise<string> {
  const images = imagesFile();
  const sets = (['operator', 'service', 'postgres', 'rabbitmq', 'redis'] as const).flatMap((part) => [
    '--set-string',
    `images.${part}=${images[part]}`,
  ]);
  return runOk(
    [
      'helm',
      'upgrade',
      '--install',
      RELEASE,
      join(ROOT, 'charts/pisync'),
      '--namespace',
      OPERATOR_NAMESPACE,
      '--create-namespace',
      '--wait',
      '--timeout',
      '120s',
      ...sets,
      ...extra,
    ],
    {timeoutMs: 150_000},
  );
}

export const operatorKubectl = (): Kubectl => kubectlIn(OPERATOR_NAMESPACE);

/** The operator's pods that are not on their way out. */
export async function operatorPods(): Promise<readonly KubeObject[]> {
  const pods = await operatorKubectl().list('pods', 'app.kubernetes.io/name=pisync-operator');
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** Name of the operator's Deployment, whatever the release calls it. */
export async function operatorDeployment(): Promise<string> {
  const [deployment] = await operatorKubectl().list('deployments', 'app.kubernetes.io/name=pisync-operator');
  if (deployment === undefined) throw new Error('no Deployment with the label app.kubernetes.io/name=pisync-operator');
  return deployment.metadata.name;
}
