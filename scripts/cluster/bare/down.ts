import {existsSync, readdirSync, rmSync} from 'node:fs';
import type {StepContext} from '../../terminal/steps.ts';
import {cgroupTree, killAll, removeCgroups} from './cgroups.ts';
import {removeFolders, restoreSysctls} from './host.ts';
import {PARENT, STATE_FOLDER} from './layout.ts';
import {removeNamespace} from './network.ts';
import {bootId, type State} from './state.ts';

/**
 * Undoes everything that `up` may have done, also half-done or without a state. What is ours is found by name (cgroups, network
 * namespaces), so nothing is lost with a process id. Done in an order that can be repeated after an interruption: the state
 * file, which remembers the host's settings, goes last.
 */
export async function removeEverything(state: State | undefined, context: StepContext): Promise<void> {
  const tree = cgroupTree();
  // The machines' mounts live in their own mount namespaces and end with their last process.
  await killAll(tree);
  await removeCgroups(tree);
  for (const machine of machinesWithNamespace()) await removeNamespace(machine, context);
  // After a reboot the settings are the system's own again; old values must not overwrite them.
  if (state !== undefined && state.bootId === bootId()) restoreSysctls(state.sysctls, context.log);
  if (state !== undefined) await removeFolders(state.createdFolders, context.log);
  rmSync(STATE_FOLDER, {recursive: true, force: true});
}

export function machinesWithNamespace(): readonly string[] {
  if (!existsSync('/run/netns')) return [];
  return readdirSync('/run/netns')
    .filter((name) => name.startsWith(`${PARENT}-`))
    .map((name) => name.slice(PARENT.length + 1));
}
