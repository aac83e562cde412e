import {expect, test} from '@jest/globals';
import {closingLine, scenariosOf, sum, tallyOf, type JestReport} from './results.ts';

const report = (part: Partial<JestReport>): JestReport => ({
  numPassedTests: 0,
  numFailedTests: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
  testResults: [],
  ...part,
});

test('counts a file that could not be loaded, a skipped test and a planned one as failures', () => {
  const tally = tallyOf(
    report({numPassedTests: 7, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1, numRuntimeErrorTestSuites: 1}),
  );
  expect(tally).toMatchObject({passed: 7, failed: 5});
});

test('closes with the one line that programs look for', () => {
  expect(
    closingLine(
      sum([
        {passed: 2, failed: 0, failures: []},
        {passed: 3, failed: 1, failures: ['no']},
      ]),
    ),
  ).toBe('5 passed, 1 failed');
});

test('tells what failed once more: the file, the test and how its message begins, without colours', () => {
  const assertion = {fullName: 'adds up', duration: 1, failureMessages: []};
  const {failures} = tallyOf(
    report({
      testResults: [
        {
          name: '/somewhere/core/src/sum.test.ts',
          message: '',
          assertionResults: [
            {...assertion, status: 'passed'},
            {...assertion, status: 'failed', failureMessages: ['\u001b[31mexpected 2\u001b[0m\nreceived 3']},
            {...assertion, fullName: 'subtracts', status: 'todo'},
          ],
        },
        {name: '/somewhere/core/src/gone.test.ts', message: 'Cannot find module', assertionResults: []},
      ],
    }),
  );
  expect(failures).toEqual([
    'src/sum.test.ts: adds up\n    expected 2\n    received 3',
    'src/sum.test.ts: subtracts\n    todo',
    'src/gone.test.ts could not be loaded\n    Cannot find module',
  ]);
});

test('names every scenario with its seconds', () => {
  const scenarios = scenariosOf(
    report({
      testResults: [
        {
          name: 'a.e2e.test.ts',
          message: '',
          assertionResults: [
            {fullName: 'a region becomes Ready', status: 'passed', duration: 12_345, failureMessages: []},
            {fullName: 'a region stays', status: 'failed', duration: null, failureMessages: ['no']},
          ],
        },
      ],
    }),
  );
  expect(scenarios).toEqual([
    {name: 'a region becomes Ready', ok: true, seconds: 12.3},
    {name: 'a region stays', ok: false, seconds: 0},
  ]);
});
