import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {lockOwner} from '../../terminal/lock.ts';
import {cgroupTree, processesIn} from './cgroups.ts';
import {machinesWithNamespace} from './down.ts';
import {readSysctl} from './host.ts';
import {LOCK_FILE, namespacePath, PARENT, STATE_FOLDER} from './layout.ts';
import {VOLUMES_FOLDER} from './components.ts';

/** What of the cluster is still on this machine, one sentence each; empty after a clean `down`. */
export function leftovers(before: {
  readonly sysctls: Readonly<Record<string, string>>;
  readonly createdFolders: readonly string[];
}): readonly string[] {
  const roots = cgroupTree().roots;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target.startsWith(STATE_FOLDER) || target.startsWith(`/run/netns/${PARENT}-`));
  return [
    ...[...new Set(roots.flatMap(processesIn))].map((pid) => `process ${pid} (${commandOf(pid)})`),
    ...roots.filter((root) => existsSync(root)).map((root) => `cgroup ${root}`),
    ...machinesWithNamespace().map((machine) => `network namespace ${namespacePath(machine)}`),
    ...mounts.map((target) => `mount ${target}`),
    ...[
      ...[STATE_FOLDER, VOLUMES_FOLDER].filter((folder) => existsSync(folder)),
      ...emptyOnes(before.createdFolders),
    ].map((folder) => `folder ${folder}`),
    ...Object.entries(before.sysctls)
      .filter(([name, value]) => readSysctl(name) !== value)
      .map(([name, value]) => `sysctl ${name} is ${readSysctl(name)}, was ${value}`),
    ...(existsSync(LOCK_FILE) && lockOwner(LOCK_FILE) !== process.pid ? [`lock ${LOCK_FILE}`] : []),
  ];
}

/** Folders that we made and that hold nothing. What is in the others is somebody else's by now, and so are they: buildah, for one, keeps settings in /etc/cni/net.d. */
export const emptyOnes = (folders: readonly string[]): readonly string[] =>
  folders.filter((folder) => existsSync(folder) && readdirSync(folder).length === 0);

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(0, 100);
  } catch {
    return 'just ended';
  }
}
