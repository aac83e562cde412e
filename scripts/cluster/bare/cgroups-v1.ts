import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {CgroupTree} from './cgroup-tree.ts';
import {PARENT} from './layout.ts';

interface Hierarchy {
  readonly folder: string;
  /** Value for `mount -o`: the controllers, or `none,name=...`. */
  readonly options: string;
}

/** Finds the mounted v1 hierarchies in the text of /proc/self/mountinfo (proc(5)). */
export function parseHierarchies(mountinfo: string): readonly Hierarchy[] {
  const found = new Map<string, Hierarchy>();
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const folder = before.split(' ')[4];
    const [type, , superOptions = ''] = after.split(' ');
    if (type !== 'cgroup' || folder === undefined) continue;
    const options = superOptions
      .split(',')
      .filter((option) => !/^(rw|ro|xattr|clone_children|noprefix|release_agent=.*)$/.test(option));
    const named = options.some((option) => option.startsWith('name='));
    const key = named ? ['none', ...options].join(',') : options.join(',');
    if (!found.has(key)) found.set(key, {folder, options: key});
  }
  return [...found.values()];
}

/** cgroup v1: one tree a controller, each with the same folders. */
export function cgroupV1(mountinfo: string): CgroupTree {
  const hierarchies = parseHierarchies(mountinfo);
  const folderOf = (h: Hierarchy, ...path: string[]): string => join(h.folder, PARENT, ...path);
  return {
    roots: hierarchies.map((h) => folderOf(h)),
    create(machine) {
      for (const h of hierarchies) for (const path of [[], [machine], [machine, 'sys']]) make(h, folderOf(h, ...path));
    },
    join(pid, machine) {
      for (const h of hierarchies) writeFileSync(join(folderOf(h, machine), 'cgroup.procs'), String(pid));
    },
    settle(pids, machine) {
      for (const h of hierarchies)
        for (const pid of pids) writeFileSync(join(folderOf(h, machine, 'sys'), 'cgroup.procs'), String(pid));
    },
    mounts: [
      '-t tmpfs -o mode=755,size=1m tmpfs /sys/fs/cgroup',
      ...hierarchies.map((h) => `-t cgroup -o ${h.options} cgroup ${h.folder}`),
      '-o remount,ro /sys/fs/cgroup',
    ],
  };
}

function make(h: Hierarchy, folder: string): void {
  if (existsSync(folder)) return;
  mkdirSync(folder);
  // A new cpuset is empty, and no process may enter it before it has processors and memory nodes (cpuset(7)).
  if (!h.options.split(',').includes('cpuset')) return;
  for (const file of ['cpuset.cpus', 'cpuset.mems'])
    writeFileSync(join(folder, file), readFileSync(join(folder, '..', file)));
}
