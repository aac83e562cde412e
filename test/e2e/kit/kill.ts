import {readdirSync, readFileSync} from 'node:fs';
import {type KubeObject} from './kubectl.ts';

/**
 * Kills every process of a pod's containers with SIGKILL, as the kernel would for want of memory: no preStop hook, no SIGTERM, no
 * flush. The pod object stays and the kubelet starts the containers again. The pause process lives on, or the pod would get a new sandbox.
 *
 * The local cluster's nodes are namespaces (or containers) of this machine, so their processes are in /proc, and the control group's path
 * carries the pod's uid (with underscores under the systemd driver).
 *
 * @returns how many processes were killed
 */
export function killPod(pod: KubeObject): number {
  const uids = [pod.metadata.uid, pod.metadata.uid.replaceAll('-', '_')];
  let killed = 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const cgroup = readFileSync(`/proc/${entry}/cgroup`, 'utf8');
      if (!uids.some((uid) => cgroup.includes(`pod${uid}`))) continue;
      if (readFileSync(`/proc/${entry}/comm`, 'utf8').trim() === 'pause') continue;
      process.kill(Number(entry), 'SIGKILL');
      killed += 1;
    } catch {
      // the process ended while we looked
    }
  }
  if (killed === 0)
    throw new Error(`no process of pod ${pod.metadata.name} (uid ${pod.metadata.uid}) was found on this machine`);
  return killed;
}
