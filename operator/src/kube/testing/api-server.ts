import {spawn, type ChildProcess} from 'node:child_process';
import {generateKeyPairSync, randomBytes} from 'node:crypto';
import {createWriteStream} from 'node:fs';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as sleep} from 'node:timers/promises';
import {ApiClient} from '../api-client.ts';
import {systemClock} from '../clock.ts';
import {type CredentialSource} from '../connection.ts';

/** A real API server of its own for one test file: etcd and kube-apiserver on loopback, nothing else of a cluster. */
export interface TestApiServer {
  readonly port: number;
  readonly credentials: CredentialSource;
  /** Credentials for the same server behind another port (a proxy). */
  readonly credentialsAt: (port: number) => CredentialSource;
  readonly client: ApiClient;
  /** Lines of the audit log: one JSON each, at level Metadata, stage ResponseComplete. */
  audit(): Promise<readonly AuditLine[]>;
  stop(): Promise<void>;
}

export interface AuditLine {
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent: string;
  /** What an authorizer sees of the request; absent for paths that are no resources. */
  readonly objectRef?: {readonly apiGroup?: string; readonly resource: string; readonly subresource?: string};
  readonly responseStatus?: {readonly code: number};
}

const READY_WITHIN_MS = 60_000;

const ATTEMPTS = 3;

/** Starts in about four seconds. The folder in PISYNC_TEST_KUBE_BIN holds the binaries `etcd` and `kube-apiserver`; `args` are more of the latter's. */
export const startApiServer = async (...args: readonly string[]): Promise<TestApiServer> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(args);
    } catch (error) {
      // A port that was free a moment ago may be somebody else's.
      const isTaken = error instanceof Error && error.message.includes('address already in use');
      if (!isTaken || attempt >= ATTEMPTS) throw error;
    }
  }
};

const startOnce = async (args: readonly string[]): Promise<TestApiServer> => {
  const bin = process.env['PISYNC_TEST_KUBE_BIN'];
  if (bin === undefined) {
    throw new Error('PISYNC_TEST_KUBE_BIN is not set: it must name a folder with the binaries etcd and kube-apiserver');
  }
  const dir = await mkdtemp(join(tmpdir(), 'pisync-kube-'));
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const token = randomBytes(16).toString('hex');
  const {privateKey} = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: {type: 'pkcs1', format: 'pem'},
    publicKeyEncoding: {type: 'spki', format: 'pem'},
  });
  await writeFile(join(dir, 'sa.key'), privateKey);
  await writeFile(join(dir, 'tokens.csv'), `${token},admin,admin,"system:masters"\n`);
  await writeFile(
    join(dir, 'audit.yaml'),
    'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\nrules: [{level: Metadata}]\n',
  );
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const start = (name: string, args: readonly string[]): ChildProcess => {
    const child = spawn(join(bin, name), args, {stdio: ['ignore', 'pipe', 'pipe']});
    const log = createWriteStream(join(dir, `${name}.log`));
    child.stdout.pipe(log);
    child.stderr.pipe(log);
    return child;
  };
  const children = [
    start('etcd', [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
      `--initial-cluster=default=http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
    ]),
    start('kube-apiserver', [
      `--etcd-servers=${etcdUrl}`,
      `--secure-port=${port}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--cert-dir=${join(dir, 'certs')}`,
      `--token-auth-file=${join(dir, 'tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(dir, 'sa.key')}`,
      `--service-account-signing-key-file=${join(dir, 'sa.key')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=RBAC',
      '--endpoint-reconciler-type=none',
      `--audit-policy-file=${join(dir, 'audit.yaml')}`,
      `--audit-log-path=${join(dir, 'audit.log')}`,
      ...args,
    ]),
  ];
  const credentialsAt =
    (at: number): CredentialSource =>
    () =>
      Promise.resolve({
        server: `https://127.0.0.1:${at}`,
        // The server signs its own certificate anew for every test.
        tls: {rejectUnauthorized: false},
        headers: {authorization: `Bearer ${token}`},
      });
  const client = new ApiClient({credentials: credentialsAt(port), clock: systemClock, userAgent: 'pisync-test'});
  const stop = async (): Promise<void> => {
    await client.close();
    for (const child of children.toReversed()) await end(child);
    await rm(dir, {recursive: true, force: true});
  };
  try {
    await untilReady(client, children);
  } catch (error) {
    const logs = await Promise.all(
      ['etcd', 'kube-apiserver'].map((name) => readFile(join(dir, `${name}.log`), 'utf8').catch(() => '')),
    );
    await stop();
    const words = logs.map((log) => log.slice(-2000)).join('\n');
    throw new Error(`the test's API server did not start; its and etcd's last words:\n${words}`, {cause: error});
  }
  return {
    port,
    credentials: credentialsAt(port),
    credentialsAt,
    client,
    audit: async () => {
      const text = await readFile(join(dir, 'audit.log'), 'utf8');
      // The API server writes one audit event a line; the last may be half written.
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as AuditLine);
    },
    stop,
  };
};

const untilReady = async (client: ApiClient, children: readonly ChildProcess[]): Promise<void> => {
  const deadline = Date.now() + READY_WITHIN_MS;
  // Both come from hooks after the start. The authorizer itself is asked whether those who are known may read what is served.
  const signal = (): AbortSignal => AbortSignal.timeout(2_000);
  const isReady = async (): Promise<boolean> => {
    await client.send({method: 'GET', path: '/api/v1/namespaces/default', signal: signal()});
    const {body} = await client.send({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: {
        spec: {
          user: 'anybody',
          groups: ['system:authenticated'],
          nonResourceAttributes: {path: '/apis/a', verb: 'get'},
        },
      },
      signal: signal(),
    });
    // The API server answers a review with its status.
    return (body as {readonly status: {readonly allowed: boolean}}).status.allowed;
  };
  for (;;) {
    const died = children.find(({exitCode}) => exitCode !== null);
    if (died !== undefined) throw new Error(`${died.spawnfile} ended with code ${died.exitCode ?? ''}`);
    try {
      if (await isReady()) return;
      if (Date.now() > deadline) throw new Error('nobody may read what the server serves');
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(100);
  }
};

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const hard = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await ended;
  clearTimeout(hard);
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
