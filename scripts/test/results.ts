import {stripVTControlCharacters} from 'node:util';

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
  /** What failed, in words. */
  readonly failures: readonly string[];
}

/** Of what is one test by itself. */
export const oneTally = (isPassed: boolean, failure: string): Tally =>
  isPassed ? {passed: 1, failed: 0, failures: []} : {passed: 0, failed: 1, failures: [failure]};

const TOLD_LINES = 12;

/** A file and a test each, and how its message begins. */
const failuresOf = ({testResults}: JestReport): readonly string[] =>
  testResults.flatMap(({name, message, assertionResults}) => {
    const file = name.split('/').slice(-2).join('/');
    const failed = assertionResults.filter(({status}) => status !== 'passed');
    return failed.length === 0 && assertionResults.length === 0
      ? [told(`${file} could not be loaded`, message)]
      : failed.map(({fullName, status, failureMessages: [first = status]}) => told(`${file}: ${fullName}`, first));
  });

const told = (heading: string, message: string): string =>
  [heading, ...stripVTControlCharacters(message).trim().split('\n').slice(0, TOLD_LINES)].join('\n    ');

/** A test file that could not even be loaded ran no test, so it counts as one failure; so does one that is skipped or only planned, which proves nothing. */
export const tallyOf = (report: JestReport): Tally => ({
  passed: report.numPassedTests,
  failed: report.numFailedTests + report.numRuntimeErrorTestSuites + report.numPendingTests + report.numTodoTests,
  failures: failuresOf(report),
});

export const sum = (tallies: readonly Tally[]): Tally => ({
  passed: tallies.reduce((total, tally) => total + tally.passed, 0),
  failed: tallies.reduce((total, tally) => total + tally.failed, 0),
  failures: tallies.flatMap(({failures}) => failures),
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
export const closingLine = (tally: Pick<Tally, 'passed' | 'failed'>): string =>
  `${tally.passed} passed, ${tally.failed} failed`;
