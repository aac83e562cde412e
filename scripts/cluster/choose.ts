/** What is known about this machine when a kind of cluster is chosen. */
export interface MachineFacts {
  readonly kubeconfig: string | undefined;
  readonly wanted: 'bare' | 'kind' | undefined;
  readonly platform: string;
  readonly isRoot: boolean;
  readonly dockerAnswers: boolean;
}

export type Choice =
  | {readonly kind: 'external'; readonly kubeconfig: string}
  | {readonly kind: 'kind'}
  | {readonly kind: 'bare'}
  | {readonly kind: 'none'; readonly why: string};

/** An existing cluster when one is named, else what the user asked for, else kind where Docker answers, else bare where we are root. */
export function chooseCluster(facts: MachineFacts): Choice {
  if (facts.kubeconfig !== undefined) return {kind: 'external', kubeconfig: facts.kubeconfig};
  if (facts.wanted === 'kind' && !facts.dockerAnswers)
    return {
      kind: 'none',
      why: 'PISYNC_CLUSTER=kind needs a Docker engine, and none answers here: `docker info` must work.',
    };
  if (facts.wanted !== 'bare' && facts.dockerAnswers) return {kind: 'kind'};
  if (facts.platform !== 'linux')
    return {
      kind: 'none',
      why: 'A local cluster needs Docker here: start it, or name a cluster with PISYNC_KUBECONFIG.',
    };
  if (!facts.isRoot)
    return {
      kind: 'none',
      why: 'A local cluster needs Docker or root, and this is neither: start Docker, use sudo, or name a cluster with PISYNC_KUBECONFIG. `make check` works without.',
    };
  return {kind: 'bare'};
}
