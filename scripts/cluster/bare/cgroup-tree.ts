/**
 * The cgroups of the machines. A machine's first process joins `pisync/<machine>`, takes a cgroup namespace there (so that this
 * cgroup is its `/`), and is then settled in the leaf `sys`, which leaves the machine's root free for pods.
 */
export interface CgroupTree {
  /** The folders named `pisync`, one a hierarchy; all processes of the cluster are below the first. */
  readonly roots: readonly string[];
  create(machine: string): void;
  join(pid: number, machine: string): void;
  settle(pids: readonly number[], machine: string): void;
  /** Arguments of `mount` that give a machine its own view, in order. */
  readonly mounts: readonly string[];
}
