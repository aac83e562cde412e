/**
 * cgroup v2: one tree with controllers enabled from the top down. Written from the kernel's documentation
 * (Documentation/admin-guide/cgroup-v2.rst) and not run by us yet: .github/workflows/bare.yml is what would.
 */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {CgroupTree} from './cgroup-tree.ts';
import {PARENT} from './layout.ts';

const CONTROLLERS = '+cpu +cpuset +io +memory +pids';

export function cgroupV2(root: string): CgroupTree {
  const parent = join(root, PARENT);
  const enable = (folder: string): void => writeFileSync(join(folder, 'cgroup.subtree_control'), CONTROLLERS);
  return {
    roots: [parent],
    create(machine) {
      mkdirSync(join(parent, machine, 'sys'), {recursive: true});
      enable(root);
      enable(parent);
    },
    join(pid, machine) {
      writeFileSync(join(parent, machine, 'cgroup.procs'), String(pid));
    },
    settle(pids, machine) {
      for (const pid of pids) writeFileSync(join(parent, machine, 'sys', 'cgroup.procs'), String(pid));
      // "No internal processes": controllers can only be handed down once the machine's root is empty.
      enable(join(parent, machine));
    },
    mounts: ['-t cgroup2 cgroup2 /sys/fs/cgroup'],
  };
}
