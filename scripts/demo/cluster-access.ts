/** Reaches the local cluster by what `scripts/cluster/main.ts up` and `scripts/images/main.ts build` wrote down. */
import {execFile, spawn, type ChildProcess} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';

const run = promisify(execFile);

/** The parts of out/cluster.json that the demo needs. */
export interface ClusterInfo {
  readonly kind: string;
  readonly kubeconfig: string;
  readonly serverVersion: string;
  readonly ingress: {readonly http: string};
  readonly forward: {readonly http: string};
  readonly exec: readonly string[];
}

export interface Images {
  readonly service: string;
  readonly operator: string;
  readonly postgres: string;
  readonly rabbitmq: string;
  readonly redis: string;
}

// Both files are written by programs of this repository, in the shape that these types say.
export const readClusterInfo = (out: string): ClusterInfo =>
  JSON.parse(readFileSync(join(out, 'cluster.json'), 'utf8')) as ClusterInfo;
export const readImages = (out: string): Images => JSON.parse(readFileSync(join(out, 'images.json'), 'utf8')) as Images;

export interface ClusterAccess {
  readonly info: ClusterInfo;
  /** Where kubectl looks. */
  readonly namespace: string;
  /** Runs a command where the cluster's network is. @returns its standard output. @throws with its standard error */
  readonly run: (argv: readonly string[]) => Promise<string>;
  /** Starts one there; the caller ends it. Its standard input is empty unless it is to be a pipe. */
  readonly start: (argv: readonly string[], stdin?: 'ignore' | 'pipe') => ChildProcess;
  readonly kubectl: (...args: readonly string[]) => Promise<string>;
  /** `kubectl get ... -o json`, or undefined when there is no such object. */
  readonly get: (...args: readonly string[]) => Promise<unknown>;
}

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export const openCluster = (info: ClusterInfo, namespace = 'default'): ClusterAccess => {
  const env = {...process.env, KUBECONFIG: info.kubeconfig};
  const split = (argv: readonly string[]): [string, string[]] => {
    const [program, ...args] = [...info.exec, ...argv];
    if (program === undefined) throw new Error('no command to run');
    return [program, args];
  };
  const runThere = async (argv: readonly string[]): Promise<string> => {
    const [program, args] = split(argv);
    try {
      return (await run(program, args, {env, maxBuffer: MAX_OUTPUT_BYTES})).stdout;
    } catch (cause) {
      const stderr =
        typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr).trim() : '';
      throw new Error(`${argv.join(' ')}: ${stderr === '' ? String(cause) : stderr}`, {cause});
    }
  };
  const kubectl = (...args: readonly string[]): Promise<string> =>
    runThere(['kubectl', `--namespace=${namespace}`, ...args]);
  return {
    info,
    namespace,
    run: runThere,
    start: (argv, stdin = 'ignore') => {
      const [program, args] = split(argv);
      return spawn(program, args, {env, stdio: [stdin, 'pipe', 'pipe']});
    },
    kubectl,
    get: async (...args) => {
      const text = await kubectl('get', ...args, '--ignore-not-found', '-o', 'json');
      const object: unknown = text.trim() === '' ? undefined : JSON.parse(text);
      return object;
    },
  };
};

/** One key of a Secret, decoded. */
export const readSecret = async (cluster: ClusterAccess, name: string, key: string): Promise<string> => {
  const encoded = await cluster.kubectl('get', 'secret', name, '-o', `go-template={{index .data "${key}"}}`);
  return Buffer.from(encoded, 'base64').toString('utf8');
};
