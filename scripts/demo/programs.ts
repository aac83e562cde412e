/** Starts the fleet, the agent and the judge as a person would: as programs, in the cluster's network. */
import {type ChildProcess} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout as delay} from 'node:timers/promises';
import type {ClusterAccess} from './cluster-access.ts';

export interface Program {
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  readonly kill: () => void;
}

const linesTo = (child: ChildProcess, say: (line: string) => void): void => {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({input: stream}).on('line', say);
  }
};

export const startProgram = (cluster: ClusterAccess, argv: readonly string[], say: (line: string) => void): Program => {
  const child = cluster.start(argv);
  linesTo(child, say);
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  return {ended, kill: () => void child.kill('SIGTERM')};
};

/** Node itself, and the sources, by absolute path: the program may run in another mount namespace's PATH. */
export const agentProgram = (root: string, folder: 'fleet' | 'pi'): readonly string[] => [
  process.execPath,
  join(root, 'services', 'agent', 'src', folder, 'main.ts'),
];

/** Waits until a ledger has `count` acked batches, or the program ended. */
export const waitForAcked = async (ledger: string, count: number, program: Program): Promise<void> => {
  let over = false;
  void program.ended.finally(() => (over = true)).catch(() => undefined);
  const isOver = (): boolean => over;
  while (!isOver()) {
    let text = '';
    try {
      text = readFileSync(ledger, 'utf8');
    } catch {
      // Not begun yet.
    }
    if (text.split('"answer":"acked"').length - 1 >= count) return;
    await delay(100);
  }
};

/** A port on this side of `kubectl port-forward`. It works on every kind of cluster and under network policies. */
export const forwardPort = async (
  cluster: ClusterAccess,
  target: string,
  port: number,
): Promise<{readonly port: number; readonly close: () => void}> => {
  const child = cluster.start(['kubectl', 'port-forward', target, `:${port}`]);
  const said: string[] = [];
  const localPort = await new Promise<number>((resolve, reject) => {
    linesTo(child, (line) => {
      said.push(line);
      const found = /127\.0\.0\.1:(\d+) ->/.exec(line)?.[1];
      if (found !== undefined) resolve(Number(found));
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`kubectl port-forward ${target} ended: ${said.join(' ')}`)));
  });
  return {port: localPort, close: () => void child.kill()};
};
