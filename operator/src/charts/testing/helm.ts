import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {type TestApiServer} from '../../kube/testing/api-server.ts';

/** The real Helm, against a test's API server where there is one. */
export interface Helm {
  run(...args: readonly string[]): Promise<HelmResult>;
  stop(): Promise<void>;
}

export interface HelmResult {
  readonly ok: boolean;
  readonly output: string;
}

const CHARTS = join(import.meta.dirname, '../../../../charts');

export const OPERATOR_CHART = join(CHARTS, 'pisync');
export const REGION_CHART = join(CHARTS, 'pisync-region');
export const IMAGES = ['--set', 'images.operator=registry.example/operator:1,images.service=registry.example/pisync:1'];

const TIMEOUT_MS = 60_000;

const kubeconfigOf = async (server: TestApiServer): Promise<string> => {
  const {server: url, headers} = await server.credentials();
  const token = (headers['authorization'] ?? '').replace('Bearer ', '');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{name: 'test', cluster: {server: url, 'insecure-skip-tls-verify': true}}],
    users: [{name: 'test', user: {token}}],
    contexts: [{name: 'test', context: {cluster: 'test', user: 'test'}}],
    'current-context': 'test',
  });
};

/** Helm is among the binaries of PISYNC_TEST_KUBE_BIN, or on the PATH. Its home is a folder of its own, so that a person's plugins and repositories play no part. */
export const startHelm = async (server?: TestApiServer): Promise<Helm> => {
  const home = await mkdtemp(join(tmpdir(), 'pisync-helm-'));
  const kubeconfig = join(home, 'kubeconfig');
  if (server !== undefined) await writeFile(kubeconfig, await kubeconfigOf(server));
  const built = join(process.env['PISYNC_TEST_KUBE_BIN'] ?? '', 'helm');
  const helm = existsSync(built) ? built : 'helm';
  const env = {PATH: process.env['PATH'], HOME: home, KUBECONFIG: kubeconfig};
  return {
    run: (...args) =>
      new Promise((resolve) =>
        execFile(helm, [...args], {env, timeout: TIMEOUT_MS, maxBuffer: 1 << 26}, (error, stdout, stderr) =>
          resolve({ok: error === null, output: error === null ? stdout : `${stdout}${stderr}`}),
        ),
      ),
    stop: () => rm(home, {recursive: true, force: true}),
  };
};
