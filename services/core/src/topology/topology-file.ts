import {readFile} from 'node:fs/promises';
import {type Topology, topologySchema} from '@pisync/contract/topology';
import {AppError} from '../errors/app-error.ts';

/** The region as the operator last described it, followed while the process runs. */
export interface TopologyFile {
  readonly current: () => Topology;
  /** Called with the new and the old topology after each change; returns how to stop being called. */
  onChange(listener: (next: Topology, previous: Topology) => void): () => void;
  stop(): void;
}

export interface TopologyFileOptions {
  readonly path: string;
  /** A file that became unreadable or invalid; the last good topology stays in force. */
  readonly onProblem: (error: AppError) => void;
  /** Default 2 s: a ConfigMap mount itself is up to a minute behind, so a faster look would gain nothing. */
  readonly intervalMs?: number;
}

/**
 * Reads topology.json and looks again at an interval. It compares the text rather than watching the inode: a ConfigMap mount
 * replaces the folder behind a symlink, which file watchers miss or report once and never again.
 * @throws AppError `config-invalid` when the first read fails; later ones only call `onProblem`.
 */
export const openTopologyFile = async ({
  path,
  onProblem,
  intervalMs = 2000,
}: TopologyFileOptions): Promise<TopologyFile> => {
  let text = await read(path);
  let topology = parse(path, text);
  const listeners = new Set<(next: Topology, previous: Topology) => void>();
  let badText: string | undefined;

  const look = async (): Promise<void> => {
    const found = await read(path);
    if (found === text || found === badText) return;
    badText = found;
    const next = parse(path, found);
    const previous = topology;
    text = found;
    badText = undefined;
    topology = next;
    for (const listener of listeners) listener(next, previous);
  };

  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const schedule = (): void => {
    timer = setTimeout(() => {
      look()
        .catch((error: unknown) => {
          onProblem(
            error instanceof AppError
              ? error
              : new AppError('internal', `a listener of ${path} failed`, {cause: error}),
          );
        })
        .finally(() => {
          if (!stopped) schedule();
        });
    }, intervalMs);
    timer.unref();
  };
  schedule();

  return {
    current: () => topology,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
      listeners.clear();
    },
  };
};

const read = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new AppError('config-invalid', `cannot read the topology ${path}`, {cause: error});
  }
};

const parse = (path: string, text: string): Topology => {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new AppError('config-invalid', `the topology ${path} is not JSON`, {cause: error});
  }
  const result = topologySchema.safeParse(json);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new AppError('config-invalid', `the topology ${path} is wrong: ${faults.join('; ')}`);
};
