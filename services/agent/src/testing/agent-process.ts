/** pisync-agent as a process of its own. */
import {spawn, type ChildProcess} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

export interface Ended {
  readonly code: number | null;
  readonly log: string;
}

export interface Place {
  readonly url: string;
  /** With the enrolment token, and the state folder. */
  readonly folder: string;
  /** The disk is full while there is a file at this path, see full-disk.ts. */
  readonly disk: string;
}

/** @param heard is told all that the agent has logged so far, and may end it */
export const startAgent = (
  {url, folder, disk}: Place,
  more: readonly string[],
  heard?: (log: string, child: ChildProcess) => void,
  started?: (child: ChildProcess) => void,
): Promise<Ended> =>
  new Promise((resolve) => {
    const main = fileURLToPath(new URL('../pi/main.ts', import.meta.url));
    const files = ['--enrolment-token-file', join(folder, 'token'), '--state-dir', join(folder, 'state')];
    const args = ['--url', url, ...files, '--hardware-id', 'test-pi', ...more];
    const child = spawn('node', ['--import', new URL('full-disk.ts', import.meta.url).href, main, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {...process.env, FULL_DISK: disk},
    });
    started?.(child);
    let log = '';
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      heard?.(log, child);
    });
    child.on('close', (code) => resolve({code, log}));
  });
