/** Changes of a spec: the API server and the guard must say the same about every one. */

interface BadChange {
  readonly what: string;
  readonly from: Readonly<Record<string, unknown>>;
  readonly to: Readonly<Record<string, unknown>>;
  /** How many shards services use by then; default none. */
  readonly admitted?: number;
  /** Size of every volume that there is by then; default none. */
  readonly volumes?: string;
  readonly path: string;
}

const region = 'eu-west';

export const BAD_CHANGES: readonly BadChange[] = [
  {what: 'another region', from: {region}, to: {region: 'us-east'}, path: 'spec.region'},
  {
    what: 'fewer shards than were admitted',
    from: {region},
    to: {region, postgres: {shards: 1}},
    admitted: 2,
    path: 'spec.postgres.shards',
  },
  {
    what: 'a smaller volume',
    from: {region, postgres: {storage: {size: '1Ti'}}},
    to: {region, postgres: {storage: {size: '1000Gi'}}},
    volumes: '1Ti',
    path: 'spec.postgres.storage.size',
  },
  {
    what: 'a smaller volume by leaving the size out',
    from: {region, postgres: {storage: {size: '20Gi'}}},
    to: {region},
    volumes: '20Gi',
    path: 'spec.postgres.storage.size',
  },
  {
    what: 'a volume of the broker that is smaller than what has grown meanwhile',
    from: {region, rabbitmq: {storage: {size: '20Gi'}}},
    to: {region, rabbitmq: {storage: {size: '10Gi'}}},
    volumes: '10737418241',
    path: 'spec.rabbitmq.storage.size',
  },
  {
    what: 'another storage class',
    from: {region, rabbitmq: {storage: {className: 'fast'}}},
    to: {region, rabbitmq: {storage: {className: 'slow'}}},
    path: 'spec.rabbitmq.storage.className',
  },
  {
    what: 'a storage class that goes away',
    from: {region, postgres: {storage: {className: 'fast'}}},
    to: {region},
    path: 'spec.postgres.storage.className',
  },
  {
    what: 'a storage class that is added',
    from: {region},
    to: {region, postgres: {storage: {className: 'fast'}}},
    path: 'spec.postgres.storage.className',
  },
  {
    what: 'other partitions',
    from: {region},
    to: {region, rabbitmq: {partitions: 16}},
    path: 'spec.rabbitmq.partitions',
  },
];

export const GOOD_CHANGES: readonly Omit<BadChange, 'path'>[] = [
  {
    what: 'a growth that is taken back before it was admitted',
    from: {region, postgres: {shards: 4}},
    to: {region},
    admitted: 2,
  },
  {what: 'more shards', from: {region}, to: {region, postgres: {shards: 4}}},
  {what: 'a larger volume', from: {region}, to: {region, postgres: {storage: {size: '20Gi'}}}},
  {
    what: 'larger volumes that are taken back before any has grown',
    from: {region, postgres: {storage: {size: '11Gi'}}, rabbitmq: {storage: {size: '11Gi'}}},
    to: {region, postgres: {storage: {size: '10Gi'}}, rabbitmq: {storage: {size: '10240Mi'}}},
    volumes: '10Gi',
  },
  {
    what: 'a smaller volume where none has been made',
    from: {region, postgres: {storage: {size: '10Ti'}}},
    to: {region},
  },
  {
    what: 'anything else beside a volume that is larger than the spec says',
    from: {region},
    to: {region, workers: {replicas: 3}},
    volumes: '900Gi',
  },
  {what: 'the same size in another unit', from: {region}, to: {region, postgres: {storage: {size: '10240Mi'}}}},
];
