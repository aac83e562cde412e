/** The directions in which imports may point; docs/architecture.md says why. */
const io =
  '^(node:(fs|net|http|https|child_process|dns|tls)|fs|net|http|https|child_process|undici|@kubernetes/client-node|pg|knex|ioredis|amqplib|node_modules/(undici|@kubernetes|pg|knex|ioredis|amqplib))';
module.exports = {
  forbidden: [
    {name: 'no-cycles', severity: 'error', from: {}, to: {circular: true}},
    {
      name: 'kube-knows-no-region',
      severity: 'error',
      from: {path: '^operator/src/kube/'},
      to: {path: '^operator/src/(region|api)/'},
    },
    {
      name: 'pure-plan',
      comment: 'a region is a function of what was observed; what is read comes through the engine',
      severity: 'error',
      from: {
        path: '^operator/src/region/',
        pathNot: '(\\.test\\.ts$|/testing/)',
      },
      to: {path: io},
    },
    {
      name: 'services-import-core-only',
      severity: 'error',
      from: {path: '^services/([^/]+)/'},
      to: {path: '^services/(?!core/)([^/]+)/', pathNot: '^services/$1/'},
    },
    {
      name: 'lists-know-no-http',
      comment: 'what a list is made of is served by http, which may change without it',
      severity: 'error',
      from: {path: '^services/admin-api/src/(paging|filters|signing|caching)/', pathNot: '\\.test\\.ts$'},
      to: {path: '^services/admin-api/src/http/'},
    },
    {
      name: 'core-imports-no-service',
      severity: 'error',
      from: {path: '^services/core/'},
      to: {path: '^services/(?!core/)'},
    },
    {
      name: 'operator-and-services-share-only-the-contract',
      severity: 'error',
      from: {path: '^operator/'},
      to: {path: '^services/'},
    },
    {
      name: 'services-do-not-know-the-operator',
      severity: 'error',
      from: {path: '^services/'},
      to: {path: '^operator/'},
    },
    {
      name: 'contract-imports-nothing-of-ours',
      severity: 'error',
      from: {path: '^contract/'},
      to: {path: '^(operator|services|scripts|test)/'},
    },
    {
      name: 'nothing-imports-the-simulation',
      severity: 'error',
      from: {pathNot: '^simulation/'},
      to: {path: '^simulation/'},
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: {pathNot: '\\.test\\.ts$|/testing/|^(test|bench)/'},
      to: {path: '\\.test\\.ts$|/testing/|^test/'},
    },
    {
      name: 'no-unlisted-dependencies',
      severity: 'error',
      from: {},
      to: {dependencyTypes: ['npm-no-pkg', 'npm-unknown']},
    },
    {name: 'no-unresolvable', severity: 'error', from: {}, to: {couldNotResolve: true}},
  ],
  options: {
    doNotFollow: {path: 'node_modules'},
    exclude: {path: '(^|/)(dist|out|\\.tsbuild)/'},
    tsPreCompilationDeps: true,
    // test tools are the root package's
    combinedDependencies: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
