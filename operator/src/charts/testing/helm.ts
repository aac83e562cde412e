import {execFile} from 'node:child_process';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {delimiter, join} from 'node:path';
import {type TestApiServer} from '../../kube/testing/api-server.ts';

/** The real Helm, against a test's API server where there is one. */
export interface Helm {
  run(...args: readonly string[]): Promise<HelmResult>;
  /** Runs commands as a page prints them, at the root of the checkout; as the administrator of the cluster, or as somebody else. */
  sh(script: string, as?: string): Promise<HelmResult>;
  stop(): Promise<void>;
}

interface HelmResult {
  readonly ok: boolean;
  readonly output: string;
}

const ROOT = join(import.meta.dirname, '../../../..');
const CHARTS = join(ROOT, 'charts');

export const OPERATOR_CHART = join(CHARTS, 'pisync');
export const REGION_CHART = join(CHARTS, 'pisync-region');
export const IMAGES = ['--set', 'images.operator=registry.example/operator:1,images.service=registry.example/pisync:1'];

const TIMEOUT_MS = 60_000;

const kubeconfigOf = async (server: TestApiServer, as: string | undefined): Promise<string> => {
  const {server: url, headers} = await server.credentials();
  const token = (headers['authorization'] ?? '').replace('Bearer ', '');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'test', cluster: {server: url, 'insecure-skip-tls-verify': true}}],
    users: [{name: 'test', user: {token, ...(as === undefined ? {} : {as})}}],
    contexts: [{name: 'test', context: {cluster: 'test', user: 'test'}}],
    'current-context': 'test',
  });
};

/**
 * Helm is among the binaries of PISYNC_TEST_KUBE_BIN, or on the PATH, and so is kubectl. Its home is a folder of its own, so that a person's plugins and
 * repositories play no part.
 */
export const startHelm = async (server?: TestApiServer): Promise<Helm> => {
  const home = await mkdtemp(join(tmpdir(), 'pisync-helm-'));
  const path = [process.env['PISYNC_TEST_KUBE_BIN'], process.env['PATH']].filter((part) => part !== undefined);
  const run = async (command: string, args: readonly string[], as?: string): Promise<HelmResult> => {
    const kubeconfig = join(home, `kubeconfig-${as ?? 'admin'}`);
    if (server !== undefined) await writeFile(kubeconfig, await kubeconfigOf(server, as));
    const env = {PATH: path.join(delimiter), HOME: home, KUBECONFIG: kubeconfig};
    return new Promise((resolve) =>
      execFile(command, args, {env, cwd: ROOT, timeout: TIMEOUT_MS, maxBuffer: 1 << 26}, (error, stdout, stderr) =>
        resolve({ok: error === null, output: error === null ? stdout : `${stdout}${stderr}`}),
      ),
    );
  };
  return {
    run: (...args) => run('helm', args),
    sh: (script, as) => run('sh', ['-ec', script], as),
    stop: () => rm(home, {recursive: true, force: true}),
  };
};
