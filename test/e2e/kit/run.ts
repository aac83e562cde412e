import {spawn} from 'node:child_process';

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end and returns what it printed; never throws for an exit code.
 * Fails when it runs longer than `timeoutMs` (default 2 minutes), with what it had printed by then.
 */
export async function run(
  argv: readonly [string, ...string[]],
  options: {readonly stdin?: string; readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv} = {},
): Promise<Finished> {
  const [program, ...args] = argv;
  const timeoutMs = options.timeoutMs ?? 120_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {stdio: 'pipe', env: {...process.env, ...options.env}});
    let stdout = '';
    let stderr = '';
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${argv.join(' ')} did not end within ${timeoutMs} ms\n${stdout}\n${stderr}`));
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`${program} cannot be started: ${cause.message}`, {cause}));
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({code: code ?? 137, stdout, stderr});
    });
    // A program that ends without reading its input closes the pipe: its code says whether that was right.
    child.stdin.on('error', () => undefined).end(options.stdin ?? '');
  });
}

/** {@link run}, but an exit code other than 0 is an error that shows both streams. */
export async function runOk(...args: Parameters<typeof run>): Promise<string> {
  const finished = await run(...args);
  if (finished.code !== 0) {
    throw new Error(`${args[0].join(' ')} ended with ${finished.code}\n${finished.stdout}\n${finished.stderr}`);
  }
  return finished.stdout;
}
