import {spawn} from 'node:child_process';
import {closeSync, openSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {Refusal} from '../refusal.ts';
import type {CgroupTree} from './cgroup-tree.ts';
import {files, folders} from './layout.ts';

/** Name of the cgroup of the processes that stay in the host's network. */
const HOST = 'host';

/** What socat listens with: of connections that come at once it would keep five, and the rest try again after a second. A process serves each. */
export const LISTEN_OPTIONS = 'fork,backlog=1024';
/** At the ends that are TCP: an answer of two writes would wait for the acknowledgement of the first, up to 40 ms. */
export const TCP_OPTIONS = 'nodelay';

/** @throws Refusal when another program listens on the port already. */
export function assertPortIsFree(port: number, variable: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) =>
      reject(
        new Refusal(
          `Port ${port} of 127.0.0.1, where a browser should reach the cluster, is taken (${error.message}). End what uses it, or choose another with ${variable}=PORT.`,
          error,
        ),
      ),
    );
    server.listen(port, '127.0.0.1', () => server.close(() => resolve()));
  });
}

/** Starts the host's half of the way from 127.0.0.1 into the ingress. Its processes end with the cluster's cgroups. */
function startForward(port: number, socket: string, tree: CgroupTree): void {
  tree.create(HOST);
  const log = openSync(join(folders.logs, `forward-${port}.log`), 'a');
  const child = spawn(
    'socat',
    [`TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,${LISTEN_OPTIONS},${TCP_OPTIONS}`, `UNIX-CONNECT:${socket}`],
    {detached: true, stdio: ['ignore', log, log]},
  );
  closeSync(log);
  // Told below; without a listener it would end this process.
  child.on('error', () => undefined);
  if (child.pid === undefined) throw new Error(`socat could not be started for port ${port}`);
  tree.join(child.pid, HOST);
  child.unref();
}

export function startForwards(ports: {readonly http: number; readonly https: number}, tree: CgroupTree): void {
  startForward(ports.http, files.ingressSocket, tree);
  startForward(ports.https, files.ingressTlsSocket, tree);
}
