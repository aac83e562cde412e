import {join} from 'node:path';
import {ROOT} from './files.ts';
import {kubectlIn, type KubeObject} from './kubectl.ts';
import {condition} from './region.ts';
import {runOk} from './run.ts';
import {until} from './until.ts';

const cluster = async (...args: readonly string[]): Promise<void> => {
  await runOk([process.execPath, join(ROOT, 'scripts/cluster/main.ts'), ...args], {timeoutMs: 60_000});
};

/** What befalls a node, and what ends it. */
const TROUBLES = {
  'loses power': {begin: 'power-off', end: 'power-on'},
  'loses its network': {begin: 'partition', end: 'heal'},
} as const;
export type Trouble = keyof typeof TROUBLES;

/** Makes trouble on a node, runs the work, ends the trouble whatever the work did. Resolves when Kubernetes calls the node ready again. */
export const whileNode = async (node: string, trouble: Trouble, work: () => Promise<void>): Promise<void> => {
  const {begin, end} = TROUBLES[trouble];
  try {
    await cluster(begin, node);
    await work();
  } finally {
    await cluster(end, node);
  }
  await untilNode(node, 'True');
};

/** Waits until Kubernetes has noticed. @param status of the condition Ready; `Unknown` is a node that says nothing. */
export const untilNode = (node: string, status: 'True' | 'Unknown'): Promise<KubeObject> =>
  until(`node ${node} to be Ready=${status}`, async () => {
    const object = await kubectlIn('default').get('node', node);
    const ready = object === undefined ? undefined : condition(object, 'Ready');
    if (object === undefined || ready?.status !== status) throw new Error(JSON.stringify(ready ?? 'no such condition'));
    return object;
  });

export const nodeOf = (pod: KubeObject): string => {
  const name = pod.spec?.['nodeName'];
  if (typeof name !== 'string') throw new Error(`pod ${pod.metadata.name} is on no node`);
  return name;
};
