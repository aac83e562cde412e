/** How far a step of a run is. Times are in milliseconds since the epoch. */
export type StepState =
  | {readonly kind: 'waiting'}
  | {readonly kind: 'running'; readonly sinceMs: number; readonly lastLine: string}
  | {readonly kind: 'done'; readonly tookMs: number}
  | {readonly kind: 'failed'; readonly tookMs: number}
  | {readonly kind: 'stopped'};

/** One step of a run: the name that people see, and the names of the steps that must be done before it starts. */
export interface Planned {
  readonly name: string;
  readonly needs?: readonly string[];
}

/**
 * The waiting steps whose needs are all done, in the order in which they were given.
 *
 * @throws Error when a step needs one that does not exist.
 */
export function startable<S extends Planned>(
  steps: readonly S[],
  states: ReadonlyMap<string, StepState>,
): readonly S[] {
  return steps.filter((step) => {
    if (states.get(step.name)?.kind !== 'waiting') return false;
    return (step.needs ?? []).every((need) => {
      const state = states.get(need);
      if (state === undefined) throw new Error(`step "${step.name}" needs "${need}", which is not a step of this run`);
      return state.kind === 'done';
    });
  });
}

/** `0.4s`, `42s`, `3m05s`. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}

/** One line a step for a terminal of `columns` columns. */
export function renderStep(name: string, state: StepState, nowMs: number, columns: number): string {
  switch (state.kind) {
    case 'waiting':
      return fit(`  . ${name}`, columns);
    case 'running':
      return fit(`  > ${name}  ${formatDuration(nowMs - state.sinceMs)}  ${state.lastLine}`, columns);
    case 'done':
      return fit(`  ✓ ${name}  ${formatDuration(state.tookMs)}`, columns);
    case 'failed':
      return fit(`  ✗ ${name}  ${formatDuration(state.tookMs)}`, columns);
    case 'stopped':
      return fit(`  - ${name}  stopped`, columns);
  }
}

/** One terminal line: what would move the cursor or wrap is taken out. */
function fit(text: string, columns: number): string {
  const plain = text.replaceAll(CONTROL, ' ');
  return plain.length < columns ? plain : `${plain.slice(0, Math.max(0, columns - 2))}…`;
}

const CONTROL = /\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u001f\u007f]/g;
