import {spawn} from 'node:child_process';
import {closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {until} from '../until.ts';
import {killAll, removeCgroups} from './cgroups.ts';
import type {CgroupTree} from './cgroup-tree.ts';
import type {Component} from './components.ts';
import {folders, insideNetwork, machineFolder} from './layout.ts';
import {processRef, type ProcessRef} from '../../terminal/processes.ts';

/** A machine to run: what it mounts (arguments of mount(8)) and what it keeps running. */
export interface Machine {
  readonly name: string;
  readonly mounts: readonly string[];
  readonly components: readonly Component[];
}

const INIT = join(dirname(fileURLToPath(import.meta.url)), 'machine-init.sh');

/** Writes what the machine's first process reads. */
export function describeMachine(machine: Machine): void {
  const folder = machineFolder(machine.name);
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(join(folder, 'components'), {recursive: true});
  writeFileSync(join(folder, 'mounts'), machine.mounts.map((line) => `${line}\n`).join(''));
  for (const {name, argv} of machine.components) {
    if (argv.some((argument) => argument.includes('\n')))
      throw new Error(`an argument of ${name} has a line break: ${argv.join(' ')}`);
    writeFileSync(join(folder, 'components', name), argv.map((argument) => `${argument}\n`).join(''));
  }
}

/**
 * Starts a described machine: namespaces for mounts, processes, host name, IPC and cgroups of its own, and the network namespace
 * that waits for it. The returned process is its first one; killing it ends the machine like a power cut.
 */
export async function startMachine(name: string, tree: CgroupTree): Promise<ProcessRef> {
  const folder = machineFolder(name);
  rmSync(join(folder, 'go'), {force: true});
  tree.create(name);
  const log = openSync(join(folders.logs, `${name}-init.log`), 'a');
  // The shell waits for one line, so that it enters the cgroups before it takes a cgroup namespace.
  const child = spawn(
    'sh',
    [
      '-c',
      'read -r go && exec "$@"',
      'sh',
      ...insideNetwork(name),
      'unshare',
      '--cgroup',
      '--mount',
      '--propagation',
      'private',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child=KILL',
      '--mount-proc',
      'bash',
      INIT,
      folder,
      folders.logs,
      name,
    ],
    {detached: true, stdio: ['pipe', log, log]},
  );
  closeSync(log);
  const outer = child.pid;
  if (outer === undefined) throw new Error(`the first process of machine ${name} could not be started`);
  tree.join(outer, name);
  // One that has ended by now closed the pipe; the wait below says where to look.
  child.stdin?.on('error', () => undefined).end('go\n');
  child.unref();
  const first = await until(
    `the first process of machine ${name}, see ${folders.logs}/${name}-init.log`,
    () => childOf(outer),
    {
      deadlineMs: 10_000,
      everyMs: 10,
    },
  );
  tree.settle([outer, first.pid], name);
  writeFileSync(join(folder, 'go'), '');
  return first;
}

/** Ends everything that runs on the machine at once and clears what its pods left in the cgroups, as a power cut would. */
export async function cutPower(name: string, tree: CgroupTree): Promise<void> {
  await killAll(tree, name);
  // Left-over pod cgroups would cost the next kubelet three seconds each.
  await removeCgroups(tree, name);
}

function childOf(pid: number): ProcessRef | undefined {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return undefined;
  const first = Number(readFileSync(file, 'utf8').trim().split(' ')[0]);
  return first > 0 ? processRef(first) : undefined;
}
