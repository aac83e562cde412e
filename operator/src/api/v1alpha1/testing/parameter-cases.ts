import {type BadSpec} from './spec-cases.ts';

const region = 'eu-west';

export const BAD_PARAMETERS: readonly BadSpec[] = [
  ...[
    'fsync',
    'include',
    'ssl_passphrase_command',
    'synchronous_standby_names',
    'statement_timeout',
    'datestyle',
    'search_path',
    'superuser_reserved_connections',
    'reserved_connections',
    'max_locks_per_transaction',
  ].map((name) => ({
    what: `the setting ${name}`,
    spec: {region, postgres: {parameters: {[name]: '10'}}},
    path: 'spec.postgres.parameters',
  })),
  {
    what: 'fewer connections than the services open',
    spec: {region, postgres: {parameters: {max_connections: '300'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'fewer connections than more workers open',
    spec: {region, workers: {autoscaling: {maxReplicas: 64}}, postgres: {parameters: {max_connections: '600'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'connections in another notation',
    spec: {region, postgres: {parameters: {max_connections: '9e2'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'connections that PostgreSQL reads as octal',
    spec: {region, postgres: {parameters: {max_connections: '0900'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a number that PostgreSQL reads as octal',
    spec: {region, postgres: {parameters: {work_mem: '010MB'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a setting that does not exist',
    spec: {region, postgres: {parameters: {worrk_mem: '8MB'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a setting that is called as what every object has',
    spec: {region, postgres: {parameters: {constructor: '1'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a setting with a name of 64 characters',
    spec: {region, postgres: {parameters: {[`a.${'b'.repeat(62)}`]: '1'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a word that is another one',
    spec: {region, postgres: {parameters: {huge_pages: 'maybe'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a number that is a word',
    spec: {region, postgres: {parameters: {work_mem: 'much'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a switch that is a number',
    spec: {region, postgres: {parameters: {jit: '5'}}},
    path: 'spec.postgres.parameters',
  },
  {
    what: 'a setting with a line break',
    spec: {region, postgres: {parameters: {work_mem: "1MB'\nfsync = 'off"}}},
    path: 'spec.postgres.parameters',
  },
];
