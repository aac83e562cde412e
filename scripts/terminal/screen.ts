import {formatDuration, renderStep, type Planned, type StepState} from './progress.ts';

/** Shows a run of steps. `changed` is called after every change of a state and about four times a second. */
export interface Screen {
  changed(states: ReadonlyMap<string, StepState>, nowMs: number): void;
  /** Shows text that stays. */
  say(text: string): void;
}

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** A terminal gets one line a step that moves; a file or a CI log gets a line when something happened. */
export function screenFor(steps: readonly Planned[], output: Output): Screen {
  return output.isTTY === true ? liveScreen(steps, output) : plainScreen(steps, output);
}

function liveScreen(steps: readonly Planned[], output: Output): Screen {
  let drawn = 0;
  return {
    changed(states, nowMs) {
      const lines = steps.map((step) =>
        renderStep(step.name, states.get(step.name) ?? {kind: 'waiting'}, nowMs, output.columns ?? 80),
      );
      const up = drawn === 0 ? '' : `\u001b[${drawn}A`;
      output.write(up + lines.map((line) => `\u001b[2K${line}\n`).join(''));
      drawn = lines.length;
    },
    say(text) {
      // The moving lines are wiped, and drawn again below the text with the next change.
      output.write(`${drawn === 0 ? '' : `\u001b[${drawn}A\u001b[J`}${text}\n`);
      drawn = 0;
    },
  };
}

/** How often a step that is still running says so where nothing can be redrawn. */
const HEARTBEAT_MS = 15_000;

function plainScreen(steps: readonly Planned[], output: Output): Screen {
  const said = new Map<string, {kind: StepState['kind']; atMs: number}>();
  return {
    changed(states, nowMs) {
      for (const {name} of steps) {
        const state = states.get(name);
        if (state === undefined || state.kind === 'waiting') continue;
        const last = said.get(name);
        if (last?.kind !== state.kind) {
          output.write(state.kind === 'running' ? `  > ${name}\n` : `${renderStep(name, state, nowMs, 200)}\n`);
        } else if (state.kind === 'running' && nowMs - last.atMs >= HEARTBEAT_MS) {
          output.write(
            `  > ${name}: still running after ${formatDuration(nowMs - state.sinceMs)}: ${state.lastLine}\n`,
          );
        } else continue;
        said.set(name, {kind: state.kind, atMs: nowMs});
      }
    },
    say: (text) => void output.write(`${text}\n`),
  };
}
