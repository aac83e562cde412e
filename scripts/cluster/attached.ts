import {spawn} from 'node:child_process';

/** Runs a command on this terminal and returns its exit code (128 + 15 when a signal ended it, as shells do for SIGTERM). */
export function runAttached(argv: readonly [string, ...string[]], env: NodeJS.ProcessEnv): Promise<number> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    // Ctrl-C reaches the command through the terminal; this process waits for how it takes it.
    const ignore = (): void => undefined;
    process.on('SIGINT', ignore);
    const child = spawn(program, args, {stdio: 'inherit', env});
    child.once('error', (error) =>
      reject(new Error(`${program} could not be started: ${error.message}`, {cause: error})),
    );
    child.once('close', (code) => {
      process.removeListener('SIGINT', ignore);
      resolve(code ?? 143);
    });
  });
}
