import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {createServer} from 'node:net';
import {until} from './until.ts';

/** A service in a process of its own, as its image runs it. */
export interface ServiceProcess {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly output: () => string;
  /** Waits for its `/readyz`. @throws Error when it does not become ready, with what it says. */
  ready(opsPort: number): Promise<void>;
  /** Asks it to stop. @returns its exit code, or null after a signal */
  stop(): Promise<number | null>;
}

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('no TCP port was given');
  return address.port;
};

/** @param main the file that exports the service's `main` */
export const startProcess = (
  main: URL,
  env: Readonly<Record<string, string>>,
  argv: readonly string[] = [],
): ServiceProcess => {
  const script = `import(${JSON.stringify(main.href)}).then(({main}) => main(${JSON.stringify(argv)}))`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: {PATH: process.env['PATH'], ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let text = '';
  const collect = (chunk: Buffer): void => {
    text += chunk.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  return {
    child,
    output: () => text,
    async ready(opsPort) {
      await until(
        'the process to be ready',
        async () => {
          if (child.exitCode !== null) return `the process ended: ${text}`;
          const answer = await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => undefined);
          return answer?.status === 200 ? 'ready' : `${(await answer?.text()) ?? 'no answer'} ${text}`;
        },
        (seen) => seen === 'ready',
      );
    },
    async stop() {
      child.kill('SIGTERM');
      // The event's arguments are the exit code, or null after a signal.
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
};
