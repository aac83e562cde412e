import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {auditedSince, auditMark, isOperatorList, isOperatorWrite} from './kit/audit.ts';
import {MADE_KINDS} from './kit/children.ts';
import {type KubeObject} from './kit/kubectl.ts';
import {helmInstall, OPERATOR_NAMESPACE, operatorKubectl, operatorPods} from './kit/operator.ts';
import {dropRegion, readyRegion, untilReady, type Condition, type Region} from './kit/region.ts';
import {until} from './kit/until.ts';
import {walk} from './walks/walk.ts';
import {SHORT_WALK} from './walks/walks.ts';

/** What can be taken away without taking data with it, of a region with an Ingress. */
const REPAIRED_KINDS = MADE_KINDS.filter((kind) => kind !== 'secret' && kind !== 'httproute');
/** True of a region that is not as it should be. */
const ABNORMAL = new Set(['Reconciling', 'Stalled']);
const OWNED = 'app.kubernetes.io/managed-by=pisync-operator';

describe('a region', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    // the autoscalers of the defaults, so that every kind of child exists
    region = await readyRegion('whole', {deviceApi: {}, workers: {autoscaling: {enabled: false}}});
  }, 300_000);
  afterAll(() => dropRegion(region), 90_000);

  test('has a status that kubectl, Argo CD and Flux understand', async () => {
    // Autoscalers get their figures some time after the pods are ready, and Ready does not wait for that.
    await until(
      'every condition to say that all is well',
      async () => {
        const {status} = await untilReady(region);
        // a list of such objects in every API that has them
        const conditions = status?.['conditions'] as readonly Condition[];
        const isWell = ({type, status}: Condition): boolean => status === (ABNORMAL.has(type) ? 'False' : 'True');
        const unwell = conditions.filter((item) => !isWell(item));
        if (unwell.length > 0) throw new Error(JSON.stringify(unwell));
        expect(conditions.map(({type}) => type)).toEqual(expect.arrayContaining(['Ready', ...ABNORMAL]));
        return true;
      },
      {timeoutMs: 120_000},
    );
    await region.kubectl.wait(`psr/${region.name}`, 'condition=Ready', 10_000);
  }, 150_000);

  test('keeps the shards that it has', async () => {
    const fewer = JSON.stringify({spec: {postgres: {shards: 1}}});
    const {code, stderr} = await region.kubectl.run(['patch', 'psr', region.name, '--type=merge', '-p', fewer]);
    expect({code, stderr}).toEqual({
      code: 1,
      stderr: expect.stringMatching(/spec\.postgres\.shards.*admitted cannot be removed/s),
    });
  });

  test('shows columns', async () => {
    const [header, row] = (await region.kubectl.ok(['get', 'psr'])).trim().split('\n');
    expect(header?.split(/\s{2,}/)).toEqual(
      expect.arrayContaining(['NAME', 'READY', 'PHASE', 'DEVICE-API', 'WORKERS', 'SHARDS', 'VERSION', 'AGE']),
    );
    expect(row).toMatch(/^whole\s+True\s+Ready\s+2\/2\s+2\/2\s+/);
  });

  test('documents every field to kubectl explain', async () => {
    const text = await region.kubectl.ok(['explain', 'psr.spec', '--recursive']);
    for (const field of [
      'region',
      'postgres',
      'shards',
      'rabbitmq',
      'partitions',
      'ingress',
      'adminHost',
      'deletionPolicy',
    ])
      expect(text).toContain(field);
    expect(await region.kubectl.ok(['explain', 'psr.spec.postgres.shards'])).toMatch(/DESCRIPTION:\s+\S+/);
  });

  test('is told how many shards have how many slots by its keeper', async () => {
    await until('slots in the status', async () => {
      const object = await region.kubectl.get('psr', region.name);
      const shards = (object?.status?.['shards'] ?? []) as readonly {readonly slots?: number}[];
      const slots = shards.map((shard) => shard.slots ?? -1);
      if (slots.join() !== '512,512') throw new Error(JSON.stringify(shards));
      return true;
    });
  }, 60_000);

  test('follows kubectl scale', async () => {
    await region.kubectl.ok(['scale', `psr/${region.name}`, '--replicas=3']);
    await until('three workers', async () => {
      const deployment = await region.kubectl.get('deployment', `${region.name}-worker`);
      if (deployment?.status?.['readyReplicas'] !== 3) throw new Error(JSON.stringify(deployment?.status));
      return true;
    });
    await region.kubectl.ok(['scale', `psr/${region.name}`, '--replicas=2']);
    await untilReady(region);
  }, 120_000);

  test.each(REPAIRED_KINDS)(
    'brings back a deleted %s',
    async (kind) => {
      const before = await region.kubectl.list(kind, OWNED);
      expect({kind, count: before.length}).not.toEqual({kind, count: 0});
      const names = before.map((object) => object.metadata.name).sort();
      const uids = new Set(before.map((object) => object.metadata.uid));
      await region.kubectl.ok(['delete', kind, '-l', OWNED, '--wait=false']);
      await until(`every ${kind} to be made again`, async () => {
        const now = (await region.kubectl.list(kind, OWNED)).filter(
          (object) => object.metadata.deletionTimestamp === undefined && !uids.has(object.metadata.uid),
        );
        const found = now.map((object) => object.metadata.name).sort();
        if (found.join() !== names.join()) throw new Error(`wanted ${names.join()}, have ${found.join()}`);
        return true;
      });
      await untilReady(region);
    },
    300_000,
  );

  test('undoes an edit of a child and leaves foreign annotations alone', async () => {
    const name = `${region.name}-device-api`;
    await region.kubectl.ok(['annotate', 'deployment', name, 'example.com/owner=somebody']);
    await region.kubectl.ok(['set', 'env', `deployment/${name}`, 'PISYNC_LOG_LEVEL=trace']);
    const undone = await until('the edit to be undone', async () => {
      const deployment = await region.kubectl.get('deployment', name);
      const text = JSON.stringify(deployment?.spec);
      if (text.includes('"value":"trace"')) throw new Error('PISYNC_LOG_LEVEL is still trace');
      return deployment;
    });
    expect(undone.metadata.annotations).toMatchObject({'example.com/owner': 'somebody'});
    await untilReady(region);
  }, 120_000);

  // More fields: faults-fields.e2e.test.ts.
  test('is changed and changed back while devices sync', () => walk(region, SHORT_WALK), 300_000);

  test('keeps its Secrets when one is labelled by hand', async () => {
    const before = await region.kubectl.secret(`${region.name}-pg-0`, 'password');
    await region.kubectl.ok(['label', 'secret', `${region.name}-pg-0`, 'example.com/seen=yes']);
    expect(await region.kubectl.secret(`${region.name}-pg-0`, 'password')).toBe(before);
  }, 30_000);

  test('runs only pods that the restricted profile admits, with no account token but the keeper’s', async () => {
    const pods = await region.kubectl.list('pods', OWNED);
    expect(pods.length).toBeGreaterThan(8);
    const withToken = pods
      .filter((pod) => pod.spec?.['automountServiceAccountToken'] !== false)
      .map((pod: KubeObject) => pod.metadata.labels?.['app.kubernetes.io/component']);
    expect([...new Set(withToken)]).toEqual(['keeper']);
  }, 30_000);

  test('at rest costs nothing: no write and no list in a minute, less than 150 MB', async () => {
    await untilReady(region);
    // Pods that were just replaced still report: every write starts the minute anew.
    let mark = auditMark();
    let since = performance.now();
    await until(
      '60 s without a write or a list by the operator',
      async () => {
        const busy = await auditedSince(
          mark,
          (request) =>
            isOperatorList(request) ||
            // another region on the same cluster may have reasons of its own
            (isOperatorWrite(request) && [region.name, OPERATOR_NAMESPACE].includes(request.namespace)),
        );
        if (busy.length > 0) {
          mark = auditMark();
          since = performance.now();
          throw new Error(
            busy
              .map((request) => `${request.verb} ${request.resource} ${request.namespace}/${request.name}`)
              .join('\n'),
          );
        }
        return performance.now() - since > 60_000 ? true : undefined;
      },
      {timeoutMs: 180_000, everyMs: 2000},
    );
    const pods = await operatorPods();
    for (const pod of pods) {
      const text = await operatorKubectl().ok([
        'exec',
        pod.metadata.name,
        '--',
        'node',
        '-e',
        'process.stdout.write(require("fs").readFileSync("/proc/1/status","utf8"))',
      ]);
      const residentMb = Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1]) / 1024;
      expect(residentMb).toBeLessThan(150);
    }
  }, 240_000);
});
