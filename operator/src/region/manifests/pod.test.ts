import {describe, expect, test} from '@jest/globals';
import {recordOf} from '../../kube/object.ts';
import {NAMES, RELEASE, SimulatedRegion} from '../testing/simulated-region.ts';

const regionOf = (spec: Record<string, unknown>): SimulatedRegion =>
  new SimulatedRegion({region: 'eu-west', ...spec}).bringUp();

const template = (region: SimulatedRegion, kind: string, name: string) =>
  // Every workload that the operator writes has a template.
  (region.find(kind, name)?.['spec'] as {readonly template: {readonly spec: Record<string, unknown>}}).template;

describe('podTemplate', () => {
  const region = regionOf({
    scheduling: {nodeSelector: {disk: 'ssd'}, tolerations: [{key: 'a', operator: 'Exists'}], priorityClassName: 'low'},
    common: {labels: {team: 'green', cost: '1'}, annotations: {'example.com/team': 'green', 'example.com/cost': '1'}},
    workers: {
      podTemplate: {
        labels: {team: 'blue'},
        annotations: {'example.com/team': 'blue'},
        nodeSelector: {arch: 'arm64'},
        tolerations: [{key: 'b', operator: 'Exists'}],
        priorityClassName: 'high',
        env: [{name: 'NODE_EXTRA_CA_CERTS', value: '/etc/ssl/own/ca.crt'}],
        volumes: [
          {name: 'tmp', mountPath: '/etc/ssl/own', configMap: {name: 'ca'}},
          {name: 'scratch', mountPath: '/mnt/scratch', emptyDir: {}},
        ],
      },
    },
  });

  test('adds to the pods of its tier, goes before what all children have, and leaves what the operator gives them', () => {
    expect(template(region, 'Deployment', 'eu-worker')).toMatchObject({
      metadata: {
        labels: {team: 'blue', cost: '1', 'app.kubernetes.io/component': 'worker'},
        annotations: {'example.com/team': 'blue', 'example.com/cost': '1'},
      },
      spec: {
        nodeSelector: {disk: 'ssd', arch: 'arm64'},
        tolerations: [{key: 'a'}, {key: 'b'}],
        priorityClassName: 'high',
        containers: [
          {
            env: expect.arrayContaining([
              {name: 'PISYNC_LOG_LEVEL', value: 'info'},
              {name: 'NODE_EXTRA_CA_CERTS', value: '/etc/ssl/own/ca.crt'},
            ]),
            volumeMounts: expect.arrayContaining([
              {name: 'tmp', mountPath: '/tmp'},
              {name: 'extra-tmp', mountPath: '/etc/ssl/own', readOnly: true},
              {name: 'extra-scratch', mountPath: '/mnt/scratch'},
            ]),
          },
        ],
        volumes: expect.arrayContaining([
          {name: 'extra-tmp', configMap: {name: 'ca'}},
          {name: 'extra-scratch', emptyDir: {}},
        ]),
      },
    });
  });

  test('says nothing that is empty, which the server would leave out', () => {
    const {spec} = template(
      regionOf({
        scheduling: {tolerations: [{key: '', operator: 'Exists'}]},
        workers: {podTemplate: {env: [{name: 'EMPTY', value: ''}]}},
      }),
      'Deployment',
      'eu-worker',
    );
    expect(spec['tolerations']).toEqual([{operator: 'Exists'}]);
    expect(spec['containers']).toMatchObject([{env: expect.arrayContaining([{name: 'EMPTY'}])}]);
  });

  test('adds nothing to the pods of other tiers', () => {
    expect(JSON.stringify(template(region, 'Deployment', 'eu-keeper'))).not.toMatch(/NODE_EXTRA|extra-|arm64|high/);
  });
});

describe('the user of a pod', () => {
  test('is that of the image', () => {
    const {spec} = template(regionOf({}), 'StatefulSet', 'eu-pg-0');
    expect(spec).toMatchObject({securityContext: {runAsUser: 999, runAsGroup: 999, fsGroup: 999}});
    expect(spec).not.toHaveProperty('initContainers');
  });

  test('is another one where the spec says so, under which PostgreSQL finds a name', () => {
    const region = regionOf({postgres: {podTemplate: {securityContext: {runAsUser: 70}}}});
    expect(template(region, 'StatefulSet', 'eu-pg-0').spec).toMatchObject({
      securityContext: {runAsNonRoot: true, runAsUser: 70, runAsGroup: 70, fsGroup: 70},
      initContainers: [{name: 'user-entry'}],
      containers: [{volumeMounts: expect.arrayContaining([expect.objectContaining({mountPath: '/etc/passwd'})])}],
    });
    expect(template(region, 'StatefulSet', 'eu-rabbitmq').spec).toMatchObject({securityContext: {runAsUser: 999}});
  });

  test.each([
    ['docker.io/library/postgres:17-alpine', true],
    ['registry.example.com/hardened/postgres:17', true],
    ['registry.example.com/postgres@sha256:0', true],
    ['docker.io/library/postgres:17', false],
    ['mirror.example.com/library/postgres:17.6@sha256:0', false],
    ['postgres:17', false],
  ])('has a name for PostgreSQL in any image: in %s, given by us: %s', (image, isGiven) => {
    const release = new SimulatedRegion({region: 'eu-west'});
    release.release = {...RELEASE, images: {...RELEASE.images, postgres: image}};
    for (const region of [regionOf({images: {postgres: image}}), release.bringUp()]) {
      const {spec} = template(region, 'StatefulSet', 'eu-pg-0');
      expect(spec).toMatchObject({securityContext: {runAsUser: 999}});
      expect('initContainers' in spec).toBe(isGiven);
    }
  });

  test.each([
    ['StatefulSet', 'eu-pg-0'],
    ['StatefulSet', 'eu-rabbitmq'],
    ['Deployment', 'eu-redis'],
    ['Deployment', 'eu-device-api'],
    ['Job', NAMES.migration(0)],
  ])('is left to the platform, in %s %s', (kind, name) => {
    const {spec} = template(regionOf({common: {userIds: 'Platform'}}), kind, name);
    expect(spec).toMatchObject({securityContext: {runAsNonRoot: true, seccompProfile: {type: 'RuntimeDefault'}}});
    expect(JSON.stringify(spec)).not.toMatch(/runAsUser|runAsGroup|fsGroup"/);
  });

  test.each([{fsGroup: 2_000}, {runAsGroup: 0}, {runAsGroup: 0, fsGroup: 2_000}])(
    'is left to the platform beside %j',
    (ids) => {
      const region = regionOf({
        common: {userIds: 'Platform'},
        postgres: {podTemplate: {securityContext: ids}},
      });
      const given = recordOf(template(region, 'StatefulSet', 'eu-pg-0').spec['securityContext']);
      expect(Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === 'number'))).toEqual(ids);
    },
  );
});

test('a Service is opened to the outside where the spec says so', () => {
  const annotations = {'service.beta.kubernetes.io/aws-load-balancer-type': 'nlb'};
  const region = regionOf({deviceApi: {serviceType: 'LoadBalancer', serviceAnnotations: annotations}});
  expect(region.find('Service', 'eu-device-api')).toMatchObject({
    metadata: {annotations},
    spec: {type: 'LoadBalancer'},
  });
  expect(region.find('Service', 'eu-admin-api')).toMatchObject({spec: {type: 'ClusterIP'}});
});

test('who asks for other pods is seen in the template, who asks for another Service is not', () => {
  const origin = (spec: Record<string, unknown>, kind: string, name: string) =>
    regionOf(spec).find(kind, name)?.metadata.annotations?.['pisync.io/spec-revision'];
  const env = [{name: 'A', value: 'b'}];
  for (const [tier, kind, name] of [
    ['postgres', 'StatefulSet', 'eu-pg-0'],
    ['rabbitmq', 'StatefulSet', 'eu-rabbitmq'],
    ['redis', 'Deployment', 'eu-redis'],
    ['deviceApi', 'Deployment', 'eu-device-api'],
    ['keeper', 'Deployment', 'eu-keeper'],
  ] as const) {
    const usual = origin({}, kind, name);
    expect(origin({[tier]: {podTemplate: {env}}}, kind, name)).not.toBe(usual);
    expect(origin({common: {userIds: 'Platform'}}, kind, name)).not.toBe(usual);
  }
  const balanced = {deviceApi: {serviceType: 'LoadBalancer'}};
  expect(origin(balanced, 'Deployment', 'eu-device-api')).toBe(origin({}, 'Deployment', 'eu-device-api'));
});
