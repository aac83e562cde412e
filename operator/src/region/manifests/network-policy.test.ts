import {expect, test} from '@jest/globals';
import {type KubeObject} from '../../kube/object.ts';
import {COMPONENT, POD_COMPONENTS} from '../labels.ts';
import {SimulatedRegion} from '../testing/simulated-region.ts';

interface Policy {
  readonly podSelector: {readonly matchLabels: Readonly<Record<string, string>>};
  readonly egress: readonly object[];
}

interface Workload {
  readonly template: {readonly metadata: {readonly labels: Readonly<Record<string, string>>}};
}

test('all pods may call out where a namespace admits nothing by default', () => {
  const region = new SimulatedRegion({region: 'eu-west'}).bringUp();
  const specsOf = (...kinds: readonly string[]): readonly unknown[] =>
    [...region.objects.values()].filter(({kind}: KubeObject) => kinds.includes(kind)).map((object) => object['spec']);
  // Of our own manifests.
  const policies = specsOf('NetworkPolicy') as readonly Policy[];
  const pods = (specsOf('StatefulSet', 'Deployment', 'Job') as readonly Workload[]).map(
    ({template}) => template.metadata.labels,
  );
  expect(new Set(pods.map((labels) => labels[COMPONENT]))).toEqual(new Set(POD_COMPONENTS));
  const closed = pods.filter((labels) =>
    policies.every(
      ({podSelector, egress}) =>
        egress.length === 0 || Object.entries(podSelector.matchLabels).some(([key, value]) => labels[key] !== value),
    ),
  );
  expect(closed.map((labels) => labels[COMPONENT])).toEqual([]);
});
