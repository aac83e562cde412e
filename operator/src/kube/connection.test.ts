import {afterEach, beforeEach, expect, test} from '@jest/globals';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {kubeconfigCredentials, podCredentials} from './connection.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pisync-connection-'));
});

afterEach(async () => {
  await rm(dir, {recursive: true});
});

test("a pod's identity is read from its files, each time anew", async () => {
  await writeFile(join(dir, 'token'), 'one\n');
  await writeFile(join(dir, 'ca.crt'), 'CA');
  const credentials = podCredentials('fd00::1', '443', dir);
  expect(await credentials()).toEqual({
    server: 'https://[fd00::1]:443',
    tls: {ca: 'CA'},
    headers: {authorization: 'Bearer one'},
  });
  await writeFile(join(dir, 'token'), 'two');
  expect((await credentials()).headers).toEqual({authorization: 'Bearer two'});
});

const kubeconfig = async (user: object, context = 'here'): Promise<string> => {
  const path = join(dir, 'config');
  const ca = Buffer.from('CA').toString('base64');
  // A kubeconfig is YAML, of which JSON is a part.
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': context,
    clusters: [{name: 'c', cluster: {server: 'https://example.org:6443/', 'certificate-authority-data': ca}}],
    users: [{name: 'u', user}],
    contexts: [{name: 'here', context: {cluster: 'c', user: 'u'}}],
  };
  await writeFile(path, JSON.stringify(config));
  return path;
};

test('a kubeconfig gives server, certificates and token', async () => {
  const path = await kubeconfig({token: 'secret'});
  expect(await kubeconfigCredentials(path)()).toEqual({
    server: 'https://example.org:6443',
    tls: {ca: 'CA'},
    headers: {authorization: 'Bearer secret'},
  });
});

test('a kubeconfig without a current context says what to do', async () => {
  const path = await kubeconfig({token: 'secret'}, 'nowhere');
  await expect(kubeconfigCredentials(path)()).rejects.toThrow('kubectl config use-context');
});
