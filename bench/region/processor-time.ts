/** Who used how much processor time on this machine, by reading /proc and the control groups of the pods: where the cluster's processes are visible, which they are on Linux, bare or in kind. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {processTimes, TICK_MICROS} from '../process-times.ts';

/** Processor time since the machine started, in microseconds. */
export type Usage = ReadonlyMap<string, number>;

const SERVICES = ['device-api', 'admin-api', 'worker', 'keeper', 'migrate'];
const KUBERNETES =
  /^(kube|etcd|containerd|runc|coredns|metrics-server|local-path|growing-vol|contour|socat|pause|conntrack)/;

export interface ProcessFacts {
  /** /proc/PID/comm. */
  readonly name: string;
  /** Arguments, the program first. */
  readonly argv: readonly string[];
  /** Text of /proc/PID/cgroup. */
  readonly cgroup: string;
}

/** What a process belongs to; undefined where it says nothing of its pod, as a shell in front of the program does. */
export const partOf = ({name, argv, cgroup}: ProcessFacts): string | undefined => {
  if (!cgroup.includes('kubepods')) {
    if (name === 'envoy') return 'envoy';
    return KUBERNETES.test(name) ? 'kubernetes' : undefined;
  }
  const service = SERVICES.find((known) => argv.includes(known));
  if (service !== undefined) return service;
  if (argv.some((argument) => argument.endsWith('/app/main.mjs'))) return 'operator';
  if (name.startsWith('postgres')) return 'postgres';
  if (name === 'beam.smp') return 'rabbitmq';
  if (name.startsWith('redis')) return 'redis';
  if (name === 'envoy') return 'envoy';
  return undefined;
};

/** The pod's control group, from the text of /proc/PID/cgroup: its path where time is accounted. */
export const podCgroupOf = (cgroup: string): {readonly controllers: string; readonly path: string} | undefined => {
  const lines = cgroup.split('\n').map((line) => {
    const [, controllers = '', ...path] = line.split(':');
    return {controllers, path: path.join(':')};
  });
  const line =
    lines.find(({controllers}) => controllers.split(',').includes('cpuacct')) ??
    lines.find(({controllers}) => controllers === '');
  const pod = /^(.*kubepods.*?[/-]pod[^/]+)/.exec(line?.path ?? '')?.[1];
  return line === undefined || pod === undefined ? undefined : {controllers: line.controllers, path: pod};
};

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended while we looked.
    return '';
  }
};

/** None where this is not Linux. */
export const processIds = (): readonly string[] =>
  existsSync('/proc') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];

/** Empty where the process has ended. */
export const factsOf = (pid: string): ProcessFacts => ({
  name: read(`/proc/${pid}/comm`).trim(),
  argv: read(`/proc/${pid}/cmdline`).split('\0'),
  cgroup: read(`/proc/${pid}/cgroup`),
});

const podMicros = ({controllers, path}: {readonly controllers: string; readonly path: string}): number => {
  if (controllers === '') {
    const text = read(join('/sys/fs/cgroup', path, 'cpu.stat'));
    return Number(/^usage_usec (\d+)$/m.exec(text)?.[1] ?? 0);
  }
  const text = ['cpu,cpuacct', 'cpuacct,cpu', 'cpuacct']
    .map((folder) => read(join('/sys/fs/cgroup', folder, path, 'cpuacct.usage')))
    .find((found) => found !== '');
  return Number(text ?? 0) / 1000;
};

/** Undefined where the process has ended. */
const processMicros = (pid: string): number | undefined => {
  const {own, endedChildren} = processTimes(read(`/proc/${pid}/stat`));
  return Number.isNaN(own) ? undefined : own + endedChildren;
};

/** All that was not idle, of all processors. */
const machineMicros = (): number => {
  const [, user, nice, system, , , interrupts, soft] =
    read('/proc/stat').split('\n')[0]?.split(/\s+/).map(Number) ?? [];
  return [user, nice, system, interrupts, soft].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * TICK_MICROS;
};

/** Adds up over time: what a pod used that has ended since stays counted, as far as it was seen. */
export class ProcessorTime {
  /** By the pod's control group, or the process's id. */
  readonly #used = new Map<string, {readonly part: string; readonly micros: number}>();

  /** To be called every second or two, for pods that come and go. */
  look(): void {
    const seen = new Set<string>();
    for (const pid of processIds()) {
      const cgroup = read(`/proc/${pid}/cgroup`);
      if (cgroup === '') continue;
      const pod = podCgroupOf(cgroup);
      const key = pod?.path ?? pid;
      if (seen.has(key)) continue;
      const part = partOf(factsOf(pid));
      if (part === undefined) continue;
      seen.add(key);
      const micros = pod === undefined ? processMicros(pid) : podMicros(pod);
      if (micros !== undefined) this.#used.set(key, {part, micros});
    }
  }

  /** By part of the cluster, and `machine` for all that was not idle. */
  usage(): Usage {
    this.look();
    const sums = new Map([['machine', machineMicros()]]);
    for (const {part, micros} of this.#used.values()) sums.set(part, (sums.get(part) ?? 0) + micros);
    return sums;
  }
}

/** Between two usages, for each of so many units; what no part of the cluster and not the load generator used is `other`. */
export const microsPerUnit = (
  before: Usage,
  after: Usage,
  loadMicros: number,
  units: number,
): Readonly<Record<string, number>> => {
  const grown = [...after].map(([part, micros]): [string, number] => [part, micros - (before.get(part) ?? 0)]);
  const parts = grown.filter(([part]) => part !== 'machine');
  const machine = grown.find(([part]) => part === 'machine')?.[1] ?? 0;
  const known = parts.reduce((sum, [, micros]) => sum + micros, loadMicros);
  const all: [string, number][] = [...parts, ['load', loadMicros], ['other', Math.max(0, machine - known)]];
  return Object.fromEntries(all.map(([part, micros]) => [part, Math.round(micros / Math.max(1, units))]));
};
