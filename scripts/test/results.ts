/** What jest writes with --json, as far as it is read here. */
export interface JestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: 'passed' | 'failed' | 'pending' | 'skipped' | 'todo' | 'disabled';
      readonly duration?: number | null;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

export interface Tally {
  readonly passed: number;
  readonly failed: number;
}

/** A test file that could not even be loaded ran no test, so it counts as one failure; so does one that is skipped or only planned, which proves nothing. */
export const tallyOf = (report: JestReport): Tally => ({
  passed: report.numPassedTests,
  failed: report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests + report.numTodoTests,
});

export const sum = (tallies: readonly Tally[]): Tally => ({
  passed: tallies.reduce((total, tally) => total + tally.passed, 0),
  failed: tallies.reduce((total, tally) => total + tally.failed, 0),
});

export interface Scenario {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
}

/** One scenario a test, in the order in which they ran. */
export const scenariosOf = (report: JestReport): readonly Scenario[] =>
  report.testResults.flatMap((file) =>
    file.assertionResults.map((result) => ({
      name: result.fullName,
      ok: result.status === 'passed',
      seconds: Math.round((result.duration ?? 0) / 100) / 10,
    })),
  );

/** The line that ends a run: nothing else is on it, so that programs can read it. */
export const closingLine = (tally: Tally): string => `${tally.passed} passed, ${tally.failed} failed`;
