import {FACTS_KEY} from '@pisync/contract/facts';
import {type Discovery} from '../../kube/discovery.ts';
import {keyOf, type Kind, type KubeObject} from '../../kube/object.ts';
import {type TestApiServer} from '../../kube/testing/api-server.ts';
import {forever} from '../../kube/testing/fixtures.ts';
import {KINDS, WORKLOADS} from '../kinds.ts';
import {MANAGED_BY, MANAGER} from '../labels.ts';

/** The controllers, the kubelet and the keeper of one namespace on an API server that has none: whatever is made there runs at once. */
export interface PlayedControllers {
  /** What the operator has made of one kind. */
  children(kind: Kind): Promise<readonly KubeObject[]>;
  /** Reports every workload whose report is not of its newest generation as running. */
  play(): Promise<void>;
}

/** What the controllers and the kubelet would report of a workload whose pods all run. */
const statusOf = ({kind, metadata}: KubeObject): object => {
  const observedGeneration = metadata.generation ?? 0;
  const now = new Date().toISOString();
  const condition = (type: string) => ({type, status: 'True', lastTransitionTime: now});
  switch (kind) {
    case 'StatefulSet': {
      const revisions = {currentRevision: 'one', updateRevision: 'one'};
      return {
        observedGeneration,
        replicas: 1,
        readyReplicas: 1,
        availableReplicas: 1,
        updatedReplicas: 1,
        ...revisions,
      };
    }
    case 'Deployment':
      return {observedGeneration, replicas: 2, readyReplicas: 2, availableReplicas: 2, updatedReplicas: 2};
    default: {
      const conditions = [condition('SuccessCriteriaMet'), condition('Complete')];
      return {startTime: now, completionTime: now, succeeded: 1, conditions};
    }
  }
};

export const playedControllers = (
  server: TestApiServer,
  discovery: Discovery,
  namespace = 'default',
): PlayedControllers => {
  const children = async ({apiVersion, kind}: Kind): Promise<readonly KubeObject[]> => {
    const path = await discovery.collectionPath({apiVersion, kind}, namespace, forever);
    const query = {labelSelector: `${MANAGED_BY}=${MANAGER}`};
    const {body} = await server.client.send({method: 'GET', path, query, signal: forever});
    // A List of the API server, whose items lack their kind.
    return (body as {readonly items: readonly KubeObject[]}).items.map((item) => ({...item, apiVersion, kind}));
  };

  /** What the keeper writes into the ConfigMap that the operator makes for it. */
  const tellFacts = async (): Promise<void> => {
    for (const object of await children(KINDS.configMap)) {
      if (!object.metadata.name.endsWith('-facts') || object['data'] !== undefined) continue;
      const facts = {checkedAt: '2026-03-01T12:00:00Z', shards: []};
      await server.client.send({
        method: 'PATCH',
        path: await discovery.objectPath(keyOf(object), forever),
        contentType: 'application/merge-patch+json',
        body: {data: {[FACTS_KEY]: JSON.stringify(facts)}},
        signal: forever,
      });
    }
  };

  const play = async (): Promise<void> => {
    await tellFacts();
    const kinds: readonly Kind[] = Object.values(KINDS).filter(({kind}) => WORKLOADS.has(kind));
    for (const object of (await Promise.all(kinds.map(children))).flat()) {
      const reported = object['status'] as
        {readonly observedGeneration?: number; readonly succeeded?: number} | undefined;
      const isDone =
        object.kind === 'Job' ? reported?.succeeded === 1 : reported?.observedGeneration === object.metadata.generation;
      if (isDone) continue;
      const path = `${await discovery.objectPath(keyOf(object), forever)}/status`;
      const contentType = 'application/merge-patch+json';
      await server.client.send({method: 'PATCH', path, contentType, body: {status: statusOf(object)}, signal: forever});
    }
  };

  return {children, play};
};
