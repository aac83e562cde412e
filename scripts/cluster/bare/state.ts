import {mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import type {ProcessRef} from '../../terminal/processes.ts';
import {files, STATE_FOLDER} from './layout.ts';

/** What `up` did to this machine, so that `down` can undo it. Written before each thing is done. */
export interface State {
  readonly version: 1;
  /** The checkout that the cluster belongs to. */
  readonly owner: string;
  /** /proc/sys/kernel/random/boot_id: after a reboot no process of the cluster is left, and sysctls are the system's own again. */
  readonly bootId: string;
  readonly phase: 'starting' | 'up';
  readonly nodes: number;
  readonly ingressPort: number;
  readonly ingressTlsPort: number;
  /** First process of every machine that was started, by machine. */
  readonly machines: Readonly<Record<string, ProcessRef>>;
  /** Values from before, by name. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Folders outside the state folder that did not exist before, parents first. */
  readonly createdFolders: readonly string[];
  readonly serverVersion?: string;
}

export type Verdict =
  | {readonly kind: 'absent'}
  /** Ours, complete and running. */
  | {readonly kind: 'up'; readonly state: State}
  /** Ours and running, but these machines are not. */
  | {readonly kind: 'partly-up'; readonly state: State; readonly down: readonly string[]}
  /** Another checkout's cluster, running or being started. */
  | {readonly kind: 'foreign'; readonly state: State}
  /** Killed, rebooted or interrupted: to be cleaned, whoever it belonged to. `sameBoot` says whether its sysctls still are in force. */
  | {readonly kind: 'dead'; readonly state: State; readonly sameBoot: boolean; readonly why: string};

/** Recognises what the state on disk means now. Called with the lock held, so a phase `starting` is one that was interrupted. */
export function judge(
  state: State | undefined,
  now: {readonly owner: string; readonly bootId: string; readonly isAlive: (ref: ProcessRef) => boolean},
  controlPlane: string,
): Verdict {
  if (state === undefined) return {kind: 'absent'};
  if (state.bootId !== now.bootId) return {kind: 'dead', state, sameBoot: false, why: 'the machine was rebooted'};
  const alive = (machine: string): boolean => {
    const ref = state.machines[machine];
    return ref !== undefined && now.isAlive(ref);
  };
  if (state.phase === 'starting') return {kind: 'dead', state, sameBoot: true, why: 'its start was interrupted'};
  if (!alive(controlPlane)) return {kind: 'dead', state, sameBoot: true, why: 'its control plane was killed'};
  if (state.owner !== now.owner) return {kind: 'foreign', state};
  const down = Object.keys(state.machines).filter((machine) => !alive(machine));
  return down.length === 0 ? {kind: 'up', state} : {kind: 'partly-up', state, down};
}

/** @throws Error when the file is there but is not ours to read. */
export function readState(): State | undefined {
  let text: string;
  try {
    text = readFileSync(files.state, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed) || parsed.version !== 1)
    throw new Error(
      `${files.state} was written by another version of this program: bring its cluster down with the checkout that made it`,
    );
  return parsed as State; // version 1 is only ever written by writeState
}

export function writeState(state: State): void {
  mkdirSync(STATE_FOLDER, {recursive: true, mode: 0o755});
  // Renamed into place: a reader or a crash never sees half a file.
  writeFileSync(`${files.state}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${files.state}.new`, files.state);
}

/** Applies a change to the state on disk and returns the new one. */
export function updateState(change: (state: State) => State): State {
  const state = readState();
  if (state === undefined) throw new Error(`${files.state} has disappeared while the cluster was being changed`);
  const changed = change(state);
  writeState(changed);
  return changed;
}

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
