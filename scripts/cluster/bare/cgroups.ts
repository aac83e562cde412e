import {existsSync, readdirSync, readFileSync, rmdirSync} from 'node:fs';
import {join} from 'node:path';
import {until} from '../until.ts';
import {cgroupV1} from './cgroups-v1.ts';
import {cgroupV2} from './cgroups-v2.ts';
import type {CgroupTree} from './cgroup-tree.ts';
import {kill} from '../../terminal/processes.ts';

const ROOT = '/sys/fs/cgroup';

/** The host's cgroup version decides. */
export function cgroupTree(): CgroupTree {
  if (existsSync(join(ROOT, 'cgroup.controllers'))) return cgroupV2(ROOT);
  return cgroupV1(readFileSync('/proc/self/mountinfo', 'utf8'));
}

/** All processes below a cgroup folder. */
export function processesIn(folder: string): readonly number[] {
  const own = read(join(folder, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
  return [...own, ...children(folder).flatMap((child) => processesIn(join(folder, child)))];
}

/** Kills whatever runs in a machine (or, without one, in the whole cluster) and waits until it is gone. */
export async function killAll(tree: CgroupTree, machine?: string): Promise<void> {
  const folders = tree.roots.map((root) => (machine === undefined ? root : join(root, machine)));
  const left = (): readonly number[] => [...new Set(folders.flatMap(processesIn))];
  await until(
    'the processes of the cluster to end',
    () => {
      const pids = left();
      pids.forEach((pid) => kill(pid));
      return pids.length === 0 ? true : undefined;
    },
    {deadlineMs: 20_000, everyMs: 20},
  );
}

/** Removes a machine's cgroups (or all); the kernel may need a moment after the last process has ended. */
export async function removeCgroups(tree: CgroupTree, machine?: string): Promise<void> {
  const folders = tree.roots.map((root) => (machine === undefined ? root : join(root, machine)));
  await until(
    `the cgroups ${folders.join(' ')} to be free`,
    () => {
      folders.forEach(removeTree);
      return folders.some((folder) => existsSync(folder)) ? undefined : true;
    },
    {deadlineMs: 10_000, everyMs: 50},
  );
}

function removeTree(folder: string): void {
  children(folder).forEach((child) => removeTree(join(folder, child)));
  try {
    rmdirSync(folder);
  } catch {
    // Still busy, or already gone: the caller looks again.
  }
}

function children(folder: string): readonly string[] {
  try {
    return readdirSync(folder, {withFileTypes: true})
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
