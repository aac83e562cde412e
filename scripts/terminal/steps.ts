import {createWriteStream, mkdirSync, type WriteStream} from 'node:fs';
import {join} from 'node:path';
import type {Log} from './log.ts';
import {startable, type Planned, type StepState} from './progress.ts';
import {screenFor, type Output} from './screen.ts';

export interface StepContext {
  /** Goes into the step's log file; the newest line is shown beside the step's name. */
  readonly log: Log;
  /** Aborted when another step failed or the user pressed Ctrl-C: give it to every command. */
  readonly signal: AbortSignal;
}

/** What a step is given: a {@link StepContext}, and a way to say something that must stay on the screen. */
interface StepRun extends StepContext {
  readonly say: (text: string) => void;
}

/** Something with a name that takes a while. It runs as soon as all that it needs is done. */
export interface Step extends Planned {
  readonly run: (context: StepRun) => Promise<void>;
}

export interface RunOptions {
  /** One file `<step>.log` is written here for each step. */
  readonly logFolder: string;
  readonly output?: Output;
  /** Let the other steps end when one fails, so that all failures are seen at once. */
  readonly keepGoing?: boolean;
}

/** How many of a failed step's lines are shown; its file has all. */
const TAIL_LINES = 20;

/**
 * Runs steps in parallel where their needs allow it, shows how far they are, and stops the others when one fails.
 *
 * @returns the exit code for the process: 0 when all are done, 1 when one failed, 130 after Ctrl-C, 143 after SIGTERM.
 */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<number> {
  const output = options.output ?? process.stderr;
  mkdirSync(options.logFolder, {recursive: true});
  const states = new Map<string, StepState>(steps.map((step) => [step.name, {kind: 'waiting'}]));
  const screen = screenFor(steps, output);
  const show = (): void => screen.changed(states, Date.now());
  const controller = new AbortController();
  const failures: {name: string; error: unknown; tail: readonly string[]; file: string}[] = [];
  let exitCode = 0;
  const interrupt = (name: 'SIGINT' | 'SIGTERM', code: number) => (): void => {
    exitCode = code;
    if (!controller.signal.aborted) output.write(`\n${name}: stopping, please wait\n`);
    controller.abort();
  };
  const onInt = interrupt('SIGINT', 130);
  const onTerm = interrupt('SIGTERM', 143);
  process.on('SIGINT', onInt);
  process.on('SIGTERM', onTerm);
  const ticker = setInterval(show, 250);

  const runOne = async (step: Step): Promise<void> => {
    const startedMs = Date.now();
    const file = join(options.logFolder, `${step.name.replaceAll(/[^A-Za-z0-9.-]+/g, '-')}.log`);
    const stream = createWriteStream(file);
    const tail: string[] = [];
    const log: Log = (line) => {
      stream.write(`${line}\n`);
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
      if (states.get(step.name)?.kind === 'running')
        states.set(step.name, {kind: 'running', sinceMs: startedMs, lastLine: line});
    };
    states.set(step.name, {kind: 'running', sinceMs: startedMs, lastLine: ''});
    show();
    try {
      await step.run({log, signal: controller.signal, say: (text) => screen.say(text)});
      states.set(step.name, {kind: 'done', tookMs: Date.now() - startedMs});
    } catch (error) {
      if (controller.signal.aborted) states.set(step.name, {kind: 'stopped'});
      else {
        states.set(step.name, {kind: 'failed', tookMs: Date.now() - startedMs});
        log(error instanceof Error ? (error.stack ?? error.message) : String(error));
        failures.push({name: step.name, error, tail, file});
        exitCode = 1;
        if (options.keepGoing !== true) controller.abort();
      }
    } finally {
      await closed(stream);
      show();
    }
  };

  const running = new Set<Promise<void>>();
  try {
    for (;;) {
      if (!controller.signal.aborted)
        for (const step of startable(steps, states)) {
          const promise: Promise<void> = runOne(step).finally(() => running.delete(promise));
          running.add(promise);
        }
      if (running.size === 0) break;
      await Promise.race(running);
    }
  } finally {
    clearInterval(ticker);
    process.removeListener('SIGINT', onInt);
    process.removeListener('SIGTERM', onTerm);
  }
  const stuck = steps.filter((step) => states.get(step.name)?.kind === 'waiting').map((step) => step.name);
  if (exitCode === 0 && stuck.length > 0) throw new Error(`these steps need each other: ${stuck.join(', ')}`);
  for (const failure of failures) {
    output.write(
      `\n✗ ${failure.name} failed: ${failure.error instanceof Error ? failure.error.message : String(failure.error)}\n`,
    );
    output.write(`  The whole log is in ${failure.file}\n`);
  }
  return exitCode;
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.end(resolve);
  });
}
