/** What the services execute while syncs come in: V8's sampling profiler, opened in a pod from outside. Only where the processes of the cluster are visible here. */
import {execFile} from 'node:child_process';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {factsOf, partOf, processIds} from '../processor-time.ts';

const run = promisify(execFile);
const MOST_BYTES = 256 * 1024 * 1024;

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

/** The parts of a `.cpuprofile` that are used; Chrome's DevTools and speedscope.app show a whole one. */
export interface CpuProfile {
  readonly nodes: readonly {readonly id: number; readonly callFrame: CallFrame}[];
  readonly samples: readonly number[];
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[];
}

export interface FunctionTime {
  readonly name: string;
  /** Of all the time in which the process was not idle. */
  readonly share: number;
}

/** Time in each function itself, without what it called, most first. `(program)` is native code: system calls, compression, hashes. */
export const functionTimes = ({nodes, samples, timeDeltas}: CpuProfile): readonly FunctionTime[] => {
  const names = new Map(
    nodes.map(({id, callFrame}) => [id, callFrame.functionName === '' ? '(anonymous)' : callFrame.functionName]),
  );
  const micros = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '(unknown)';
    if (name !== '(idle)') micros.set(name, (micros.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const all = [...micros.values()].reduce((sum, each) => sum + each, 0);
  return [...micros].map(([name, each]) => ({name, share: each / all})).toSorted((a, b) => b.share - a.share);
};

/** Profiles one process of a service, the first that is found. @throws Error when there is none, or its inspector does not open */
export const profileOf = async (service: string, durationMs: number): Promise<CpuProfile> => {
  const pid = processIds().find((id) => partOf(factsOf(id)) === service);
  if (pid === undefined) throw new Error(`no process of ${service} is visible on this machine`);
  // Node.js opens its inspector on this signal, on the pod's own loopback.
  process.kill(Number(pid), 'SIGUSR1');
  const client = [process.execPath, join(import.meta.dirname, 'client.ts'), String(durationMs)];
  const {stdout} = await run('nsenter', [`--net=/proc/${pid}/ns/net`, ...client], {maxBuffer: MOST_BYTES});
  // Written by client.ts.
  return JSON.parse(stdout) as CpuProfile;
};
