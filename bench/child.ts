import {spawn} from 'node:child_process';
import {createServer, type AddressInfo} from 'node:net';
import {setTimeout as delay} from 'node:timers/promises';

/** A program of ours that runs beside the benchmark. */
export interface Child {
  readonly pid: number;
  /** Resolves when it ended; kills it when a polite request is not enough. */
  stop(): Promise<void>;
}

const START_MS = 30_000;
const STOP_MS = 10_000;

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      // A server that listens on TCP has an AddressInfo.
      const {port} = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/** Starts a program and waits until `readyUrl` answers 200. @throws Error with what it printed last when it does not. */
export const startChild = async (
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  readyUrl: string,
): Promise<Child> => {
  const child = spawn(process.execPath, argv, {
    env: {...process.env, NODE_ENV: 'production', ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
  }
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(kill);
  };
  const deadlineMs = performance.now() + START_MS;
  for (;;) {
    const answer = await fetch(readyUrl).catch(() => undefined);
    if (answer?.ok === true && child.pid !== undefined) return {pid: child.pid, stop};
    if (hasEnded() || performance.now() > deadlineMs) {
      const how = hasEnded() ? 'ended' : `was not ready within ${START_MS / 1000} s`;
      await stop();
      throw new Error(`${argv.join(' ')} ${how}; it said: ${said}`);
    }
    await delay(50);
  }
};
