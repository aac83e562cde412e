import {setTimeout as delay} from 'node:timers/promises';
import {join} from 'node:path';
import {existsSync, readFileSync} from 'node:fs';
import {asList, controlPlaneServices, ingressObjects, INGRESS_NAMESPACE, storageObjects} from '../addons/objects.ts';
import {until} from '../until.ts';
import type {StepContext} from '../../terminal/steps.ts';
import {kubectl, kubectlSucceeds} from './kubectl.ts';
import {lastKlogError} from './klog.ts';
import {folders, network, type Node} from './layout.ts';

const apply = ['apply', '--server-side', '--force-conflicts', '--filename=-'];

/** Services beside the API server, and storage. */
export async function applyBasics(context: StepContext): Promise<void> {
  const objects = [...controlPlaneServices(network.controlPlane, network.dnsService), ...storageObjects()];
  await kubectl(apply, context, asList(objects));
}

/** Contour's and the Gateway API's kinds, then the classes and the Gateway. */
export async function applyIngress(contourExamples: string, context: StepContext): Promise<void> {
  await kubectl(
    [
      'apply',
      '--server-side',
      '--force-conflicts',
      `--filename=${join(contourExamples, 'contour/01-crds.yaml')}`,
      `--filename=${join(contourExamples, 'gateway/00-crds.yaml')}`,
    ],
    context,
  );
  const pem = (name: string): Buffer => readFileSync(join(folders.pki, name));
  const objects = asList(ingressObjects({certificate: pem('ingress.crt'), key: pem('ingress.key')}));
  // A kind can be used a moment after its definition was accepted.
  for (let attempt = 1; ; attempt += 1)
    try {
      await kubectl(apply, context, objects);
      await acceptGatewayClass(context);
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await delay(250, undefined, {signal: context.signal});
    }
}

export const apiServerReady = ({signal}: StepContext): Promise<true> =>
  until(
    'the API server to be ready',
    async () => ((await kubectlSucceeds(['get', '--raw', '/readyz'])) ? true : undefined),
    {
      deadlineMs: 90_000,
      everyMs: 100,
      signal,
    },
  );

const kubeletError = (node: string): string => {
  const log = join(folders.logs, `${node}-kubelet.log`);
  const error = existsSync(log) ? (lastKlogError(readFileSync(log, 'utf8')) ?? 'none') : 'it wrote no log';
  return `${node}: ${error} (${log})`;
};

export async function nodesReady(nodes: readonly Node[], context: StepContext): Promise<void> {
  const names = nodes.map(({name}) => `node/${name}`);
  try {
    await until('all nodes to register', async () => ((await kubectlSucceeds(['get', ...names])) ? true : undefined), {
      deadlineMs: 90_000,
      signal: context.signal,
    });
  } catch (cause) {
    context.signal.throwIfAborted();
    const reasons = nodes.map(({name}) => kubeletError(name)).join('\n');
    throw new Error(`not all nodes registered within 90 s; the last errors of their kubelets:\n${reasons}`, {cause});
  }
  await kubectl(['wait', '--for=condition=Ready', '--timeout=90s', ...names], context);
}

/** With one Gateway to look after, Contour says nothing about its class; tools that wait for the class would wait for ever. */
async function acceptGatewayClass(context: StepContext): Promise<void> {
  const condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: 'served by the local Contour',
    lastTransitionTime: new Date().toISOString(),
  };
  const patch = JSON.stringify({status: {conditions: [condition]}});
  await kubectl(['patch', 'gatewayclass/contour', '--subresource=status', '--type=merge', `--patch=${patch}`], context);
}

/** Metrics are served and the Gateway is programmed: Envoy has its first configuration. */
export async function addonsReady(context: StepContext): Promise<void> {
  await Promise.all([
    kubectl(['wait', '--for=condition=Available', '--timeout=90s', 'apiservice/v1beta1.metrics.k8s.io'], context),
    kubectl(
      ['wait', '--for=condition=Programmed', '--timeout=90s', `--namespace=${INGRESS_NAMESPACE}`, 'gateway/pisync'],
      context,
    ),
  ]);
}
