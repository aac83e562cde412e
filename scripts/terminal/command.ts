import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import type {Log} from './log.ts';

/** What a command needs besides its arguments. */
export interface CommandOptions {
  readonly log: Log;
  readonly cwd?: string;
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Ends the command and everything that it started: SIGTERM, and SIGKILL after {@link KILL_AFTER_MS}. */
  readonly signal?: AbortSignal | undefined;
  /** Written to the command's standard input; without it the input is empty. */
  readonly input?: string;
}

/** Long enough for apt, go and buildah to release their locks, short enough for someone who pressed Ctrl-C. */
const KILL_AFTER_MS = 5_000;

/** A command that could not start, or ended with another code than 0. `tail` are the last lines that it printed. */
class CommandFailed extends Error {
  readonly tail: readonly string[];

  constructor(message: string, tail: readonly string[], cause?: unknown) {
    super(tail.length === 0 ? message : `${message}\n${tail.map((line) => `  | ${line}`).join('\n')}`, {cause});
    this.name = 'CommandFailed';
    this.tail = tail;
  }
}

/**
 * Runs a command in a process group of its own, gives every line that it prints to `log`, and returns its standard output.
 *
 * @throws CommandFailed with the last lines of the output when it cannot start, ends with a code other than 0, or is aborted.
 */
export async function runCommand(argv: readonly [string, ...string[]], options: CommandOptions): Promise<string> {
  const {log, signal} = options;
  const [program, ...args] = argv;
  const shown = [program, ...args].join(' ');
  if (signal?.aborted) throw new CommandFailed(`not started, because the run was stopped: ${shown}`, []);
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: {...process.env, ...options.env},
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const tail: string[] = [];
  const stdout: string[] = [];
  const heard = (line: string): void => {
    log(line);
    tail.push(line);
    if (tail.length > 15) tail.shift();
  };
  createInterface({input: child.stdout}).on('line', (line) => {
    stdout.push(line);
    heard(line);
  });
  createInterface({input: child.stderr}).on('line', heard);
  // A command that ends without reading its input closes the pipe: that is its right.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');

  const stop = (): void => {
    killGroup(child.pid, 'SIGTERM');
    setTimeout(() => killGroup(child.pid, 'SIGKILL'), KILL_AFTER_MS).unref();
  };
  signal?.addEventListener('abort', stop, {once: true});
  try {
    const end = await new Promise<{code: number | null; signal: NodeJS.Signals | null}>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new CommandFailed(`${program} could not be started: ${error.message}`, [], error)),
      );
      child.once('close', (code, by) => resolve({code, signal: by}));
    });
    if (end.code !== 0) {
      const how = end.code === null ? `was ended by ${String(end.signal)}` : `ended with code ${end.code}`;
      throw new CommandFailed(`${shown} ${how}`, tail);
    }
    return stdout.join('\n');
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** True when the command can be started and ends with code 0 within `timeoutMs`. */
export async function succeeds(argv: readonly [string, ...string[]], timeoutMs = 60_000): Promise<boolean> {
  try {
    await runCommand(argv, {log: () => undefined, signal: AbortSignal.timeout(timeoutMs)});
    return true;
  } catch {
    return false;
  }
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended already.
  }
}
