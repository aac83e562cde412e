import {existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {succeeds} from '../../terminal/command.ts';
import type {Log} from '../../terminal/log.ts';
import {NODE_FOLDERS} from './components.ts';

/** Kernel settings of the whole machine that the cluster changes: inotify by us, the others by kubelet and kube-proxy. */
const SYSCTLS = [
  'fs.inotify.max_user_instances',
  'vm.overcommit_memory',
  'vm.panic_on_oom',
  'kernel.panic',
  'kernel.panic_on_oops',
  'kernel.keys.root_maxkeys',
  'kernel.keys.root_maxbytes',
] as const;

/** Three kubelets and containerds watch more files than the usual 128 instances allow. */
const INOTIFY_INSTANCES = 2048;

const fileOf = (name: string): string => join('/proc/sys', name.replaceAll('.', '/'));
export const readSysctl = (name: string): string => readFileSync(fileOf(name), 'utf8').trim();

export const recordSysctls = (): Record<string, string> =>
  Object.fromEntries(SYSCTLS.filter((name) => existsSync(fileOf(name))).map((name) => [name, readSysctl(name)]));

export function raiseInotify(): void {
  const name = 'fs.inotify.max_user_instances';
  if (Number(readSysctl(name)) < INOTIFY_INSTANCES) writeFileSync(fileOf(name), String(INOTIFY_INSTANCES));
}

export function restoreSysctls(values: Readonly<Record<string, string>>, log: Log): void {
  for (const [name, value] of Object.entries(values))
    if (readSysctl(name) !== value) {
      log(`${name} back to ${value}`);
      writeFileSync(fileOf(name), value);
    }
}

/** Folders that must exist to be mounted over, and do not yet, parents first. */
export function missingFolders(): readonly string[] {
  const missing = new Set<string>();
  const need = (folder: string): void => {
    if (existsSync(folder)) return;
    need(dirname(folder));
    missing.add(folder);
  };
  ['/run/containerd', '/run/netns', ...Object.values(NODE_FOLDERS)].forEach(need);
  return [...missing];
}

export function createFolders(created: readonly string[]): void {
  for (const folder of created) mkdirSync(folder, {recursive: true});
}

/** Removes the folders that `up` created, as far as nobody else uses them by now. */
export async function removeFolders(created: readonly string[], log: Log): Promise<void> {
  for (const folder of [...created].reverse()) {
    // `ip netns` mounts /run/netns over itself when it is first used.
    if (folder === '/run/netns') while (await succeeds(['umount', folder]));
    try {
      if (existsSync(folder)) rmdirSync(folder);
    } catch (error) {
      log(`${folder} is kept, somebody else uses it: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
