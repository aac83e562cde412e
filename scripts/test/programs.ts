import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

const root = join(import.meta.dirname, '../..');
export const out = join(root, 'out');

/**
 * Runs a program with its output going straight to the terminal. Ctrl-C is the program's, which may have something to clean up.
 * @returns its exit code. @throws Error when Ctrl-C ended it
 */
export const runShown = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('no program to run');
    const child = spawn(program, args, {
      cwd: root,
      stdio: ['pipe', 'inherit', 'inherit'],
      env: {...process.env, ...env},
    });
    child.stdin.end();
    // The terminal gives it to both; whoever started the program has to outlive it.
    const outlive = (): void => undefined;
    process.on('SIGINT', outlive);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', outlive);
      if (signal === 'SIGINT') reject(new Error(`${argv.join(' ')} was interrupted`));
      else resolve(code ?? 137);
    });
  });

/** Runs a program and returns what it printed. @throws Error when it fails */
export const runPrinted = (argv: readonly string[], stdin = ''): Promise<string> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = argv;
    if (program === undefined) throw new Error('no program to run');
    const child = spawn(program, args, {cwd: root, stdio: ['pipe', 'pipe', 'inherit']});
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
    // A program that ends without reading its input closes the pipe: its code says whether that was right.
    child.stdin.on('error', () => undefined).end(stdin);
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${argv.join(' ')} ended with ${code ?? 'a signal'}`)),
    );
  });

export const readOut = (name: string): unknown => JSON.parse(readFileSync(join(out, name), 'utf8'));
