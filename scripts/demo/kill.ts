/** SIGKILL to the first process of a container, as a crash or the kernel's memory killer would. */
import {execFile} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {setTimeout as delay} from 'node:timers/promises';
import {promisify} from 'node:util';
import {z} from 'zod';
import type {ClusterAccess} from './cluster-access.ts';

const run = promisify(execFile);

const podSchema = z.object({
  metadata: z.object({name: z.string(), uid: z.string()}),
  spec: z.object({nodeName: z.string()}),
  status: z.object({
    containerStatuses: z.array(z.object({containerID: z.string(), restartCount: z.int(), ready: z.boolean()})).min(1),
  }),
});
type Pod = z.infer<typeof podSchema>;

/** kubectl prints nothing at all where nothing matches. */
const podList = z.object({items: z.array(z.unknown())}).default({items: []});

export interface Killed {
  readonly pod: string;
  /** How it was done. */
  readonly how: 'SIGKILL' | 'pod deleted without grace';
  readonly pid: number | undefined;
}

const readIfThere = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended while we looked.
    return '';
  }
};

/** The container's first process by its id on this host: its control group names the container, and inside it is process 1. */
export const findHostPid = (
  containerId: string,
  processes: readonly string[],
  read: (path: string) => string,
): number | undefined => {
  const found = processes.find((pid) => {
    if (!/^\d+$/.test(pid) || !read(`/proc/${pid}/cgroup`).includes(containerId)) return false;
    const pids =
      /^NSpid:\s+(.*)$/m
        .exec(read(`/proc/${pid}/status`))?.[1]
        ?.trim()
        .split(/\s+/) ?? [];
    return pids.at(-1) === '1';
  });
  return found === undefined ? undefined : Number(found);
};

const killInKindNode = async (pod: Pod, containerId: string): Promise<number> => {
  const inspect = [
    'exec',
    pod.spec.nodeName,
    'crictl',
    'inspect',
    '--output',
    'go-template',
    '--template',
    '{{.info.pid}}',
  ];
  const pid = Number((await run('docker', [...inspect, containerId])).stdout.trim());
  await run('docker', ['exec', pod.spec.nodeName, 'kill', '-9', String(pid)]);
  return pid;
};

const first = async (cluster: ClusterAccess, selector: readonly string[]): Promise<Pod> => {
  const list = podList.parse(await cluster.get('pods', ...selector));
  const running = list.items
    .map((item) => podSchema.safeParse(item).data)
    .find((pod) => pod?.status.containerStatuses[0]?.ready);
  if (running === undefined) throw new Error(`no running pod matches ${selector.join(' ')}`);
  return running;
};

/** Kills one running pod's process. @param selector as for `kubectl get pods` */
export const killOne = async (cluster: ClusterAccess, selector: readonly string[]): Promise<Killed> => {
  const pod = await first(cluster, selector);
  const {name} = pod.metadata;
  const containerId = pod.status.containerStatuses[0]?.containerID.replace(/^.*:\/\//, '') ?? '';
  if (cluster.info.kind === 'bare') {
    const pid = findHostPid(containerId, readdirSync('/proc'), readIfThere);
    if (pid !== undefined) {
      process.kill(pid, 'SIGKILL');
      return {pod: name, how: 'SIGKILL', pid};
    }
  }
  if (cluster.info.kind === 'kind') return {pod: name, how: 'SIGKILL', pid: await killInKindNode(pod, containerId)};
  await cluster.kubectl('delete', 'pod', name, '--grace-period=0', '--force', '--wait=false');
  return {pod: name, how: 'pod deleted without grace', pid: undefined};
};

/** Waits until the pod, or its successor, runs again. @returns seconds */
export const waitUntilBack = async (
  cluster: ClusterAccess,
  selector: readonly string[],
  ready: number,
  timeoutMs: number,
): Promise<number> => {
  const startMs = performance.now();
  for (;;) {
    const list = podList.parse(await cluster.get('pods', ...selector));
    const up = list.items.filter((item) => podSchema.safeParse(item).data?.status.containerStatuses[0]?.ready === true);
    if (up.length >= ready) return Math.round((performance.now() - startMs) / 100) / 10;
    if (performance.now() - startMs > timeoutMs) {
      throw new Error(`${up.length} of ${ready} pods are ready (${selector.join(' ')}) after ${timeoutMs / 1000} s`);
    }
    await delay(300);
  }
};
