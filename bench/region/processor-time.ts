/** Who used how much processor time on this machine, by reading /proc and the control groups of the pods: where the cluster's processes are visible, which they are on Linux, bare or in kind. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {processTimes, TICK_MICROS} from '../process-times.ts';

/** Processor time since the machine started, in microseconds. */
export type Usage = ReadonlyMap<string, number>;

const SERVICES = ['device-api', 'admin-api', 'worker', 'keeper', 'migrate'];
const KUBERNETES =
  /^(kube(?!ctl)|etcd|containerd|runc|coredns|metrics-server|local-path|growing-vol|contour|socat|conntrack)/;

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
  // In kind the control plane and the ingress are pods.
  return KUBERNETES.test(name) ? 'kubernetes' : undefined;
};

interface PodCgroup {
  readonly controllers: string;
  readonly path: string;
}

/** The pod's control group, from the text of /proc/PID/cgroup: its path where time is accounted. */
export const podCgroupOf = (cgroup: string): PodCgroup | undefined => {
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

/** Undefined where the pod has ended. */
const podMicros = ({controllers, path}: PodCgroup): number | undefined => {
  if (controllers === '') {
    const found = /^usage_usec (\d+)$/m.exec(read(join('/sys/fs/cgroup', path, 'cpu.stat')))?.[1];
    return found === undefined ? undefined : Number(found);
  }
  const text = ['cpu,cpuacct', 'cpuacct,cpu', 'cpuacct']
    .map((folder) => read(join('/sys/fs/cgroup', folder, path, 'cpuacct.usage')))
    .find((found) => found !== '');
  return text === undefined ? undefined : Number(text) / 1000;
};

/** All that was not idle, of all processors. */
const machineMicros = (): number => {
  const [, user, nice, system, , , interrupts, soft] =
    read('/proc/stat').split('\n')[0]?.split(/\s+/).map(Number) ?? [];
  return [user, nice, system, interrupts, soft].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) * TICK_MICROS;
};

interface Used {
  readonly part: string;
  readonly micros: number;
  /** Of a process that is in no pod. */
  readonly parent?: string;
}

const podUse = (part: string, pod: PodCgroup): Used | undefined => {
  const micros = podMicros(pod);
  return micros === undefined ? undefined : {part, micros};
};

const processUse = (part: string, pid: string): Used | undefined => {
  const {parent, own, endedChildren} = processTimes(read(`/proc/${pid}/stat`));
  return Number.isNaN(own) ? undefined : {part, parent, micros: own + endedChildren};
};

/**
 * Forgets processes that have ended below one that goes on: the kernel has added their time to what it says of that one's ended children, and it would count
 * twice. What others used that have ended stays counted.
 */
export const forgetInherited = (used: Map<string, Used>, alive: ReadonlySet<string>): void => {
  for (const [key, {parent}] of used)
    if (parent !== undefined && !alive.has(key) && alive.has(parent)) used.delete(key);
};

/** Adds up over time: what a pod used that has ended since stays counted, as far as it was seen. */
export class ProcessorTime {
  /** By the pod's control group, or the process's id. */
  readonly #used = new Map<string, Used>();

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
      const use = pod === undefined ? processUse(part, pid) : podUse(part, pod);
      if (use !== undefined) this.#used.set(key, use);
    }
    forgetInherited(this.#used, seen);
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
