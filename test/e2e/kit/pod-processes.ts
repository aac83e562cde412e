import {readdirSync, readFileSync} from 'node:fs';
import {type KubeObject} from './kubectl.ts';
import {until} from './until.ts';

/**
 * The processes of a pod's containers, without the pause process, whose end would give the pod a new sandbox.
 *
 * The local cluster's nodes are namespaces (or containers) of this machine, so their processes are in /proc, and the control group's path
 * carries the pod's uid (with underscores under the systemd driver).
 */
function processesOf(pod: KubeObject): readonly number[] {
  const uids = [pod.metadata.uid, pod.metadata.uid.replaceAll('-', '_')];
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      const cgroup = read(entry, 'cgroup');
      return uids.some((uid) => cgroup.includes(`pod${uid}`)) && read(entry, 'comm').trim() !== 'pause';
    })
    .map(Number);
}

/** Empty for a process that ended while we looked. */
const read = (pid: string, name: string): string => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
};

/** @returns false for a process that has ended */
const send = (pid: number, signal: NodeJS.Signals): boolean => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};

/**
 * Kills every process of a pod's containers with SIGKILL, as the kernel would for want of memory: no preStop hook, no SIGTERM, no
 * flush. The pod object stays and the kubelet starts the containers again.
 *
 * @returns how many processes were killed
 */
export function killPod(pod: KubeObject): number {
  const killed = processesOf(pod).filter((pid) => send(pid, 'SIGKILL')).length;
  if (killed === 0) throw new Error(`no process of pod ${nameOf(pod)} was found on this machine`);
  return killed;
}

export interface FrozenPod {
  /** Lets it go on as if nothing had been; what it was sent meanwhile it reads now. */
  thaw(): void;
}

/** Stops every process of a pod's containers where it is: its connections stay open and say nothing. Resolves when all stand still. */
export async function freezePod(pod: KubeObject): Promise<FrozenPod> {
  const thaw = (): void => processesOf(pod).forEach((pid) => send(pid, 'SIGCONT'));
  try {
    await until(
      `pod ${nameOf(pod)} to stand still`,
      () => {
        const pids = processesOf(pod);
        if (pids.length === 0) throw new Error('it has no process on this machine');
        // One that was forked meanwhile is found by the next look.
        const running = pids.filter((pid) => !isStopped(pid));
        running.forEach((pid) => send(pid, 'SIGSTOP'));
        return Promise.resolve(running.length === 0 ? true : undefined);
      },
      {timeoutMs: 5000, everyMs: 5},
    );
  } catch (error) {
    thaw();
    throw error;
  }
  return {thaw};
}

/** The name in the second field may hold anything, so the state is what follows its last parenthesis. */
const isStopped = (pid: number): boolean => /\) [Tt] [^)]*$/.test(read(String(pid), 'stat'));

const nameOf = ({metadata}: KubeObject): string => `${metadata.name} (uid ${metadata.uid})`;
