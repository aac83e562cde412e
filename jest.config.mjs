/**
 * Three kinds of tests, told apart by their file's name:
 * `x.test.ts` needs nothing, `x.integration.test.ts` needs Postgres, RabbitMQ, Redis, an API server or a shard's image (named in PISYNC_TEST_*),
 * `x.e2e.test.ts` needs the local cluster, `x.browser.test.ts` a browser. `make test` runs them in that order, the last two side by side.
 */
const shared = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  transform: {
    '^.+\\.tsx?$': [
      '@swc/jest',
      {
        jsc: {parser: {syntax: 'typescript', tsx: false}, target: 'es2024', experimental: {keepImportAttributes: true}},
        module: {type: 'es6'},
        sourceMaps: 'inline',
      },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/\\.tsbuild', '<rootDir>/dist', '<rootDir>/out'],
};

export default {
  // A busy disk or processor must not fail a test; a test that hangs still ends.
  testTimeout: 60_000,
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '\\.integration\\.test\\.ts$', '\\.(?:e2e|browser)\\.test\\.ts$'],
    },
    {...shared, displayName: 'integration', testMatch: ['**/*.integration.test.ts']},
    {...shared, displayName: 'e2e', testMatch: ['**/*.e2e.test.ts']},
    {...shared, displayName: 'browser', testMatch: ['**/*.browser.test.ts']},
  ],
};
