/** A cluster that this program can bring up; three implementations: bare, kind, external. Every number returned is an exit code. */
export interface Cluster {
  up(): Promise<number>;
  /** Ends it; with `force` also when it belongs to a checkout that is gone. */
  down(options: {readonly force: boolean}): Promise<number>;
  /** Prints how the cluster is; 0 when it is up and healthy, 1 when not. */
  status(): Promise<number>;
  /** Prints the log of one component, or the components that have one. */
  logs(component: string | undefined): Promise<number>;
  /** Runs a command where the cluster's network, KUBECONFIG, kubectl and helm are. */
  exec(argv: readonly [string, ...string[]]): Promise<number>;
  loadImages(images: readonly ImageArchive[]): Promise<number>;
  /** Makes trouble on one node, or ends it. */
  trouble(what: Trouble, node: string): Promise<number>;
}

export type Trouble = 'power-off' | 'power-on' | 'partition' | 'heal';

/** An image as a docker-archive file. */
export interface ImageArchive {
  readonly image: string;
  readonly archive: string;
}
