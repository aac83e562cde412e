import {type Key, type Kind, type KubeObject, type Manifest, type ObjectRef} from './object.ts';

/**
 * The one interface between the engine and what it runs. A controller says what exists (`observe`: reads only) and what should
 * (`plan`: pure); the engine does everything else: caches, queue, retries, writes, status, events.
 *
 * One pass over one object is  observe → plan → write the plan's components → `plan.conclude(outcome)` → status → events → next.
 * The plan is made before the writes and cannot know what becomes of them, so its last step is a function: `conclude` gets the
 * outcome of every manifest (created, unchanged, in conflict with a stranger's object, refused by quota, ...) and returns the
 * status of the *same* pass. A failure is therefore in the status at once and not one pass later, nothing waits for a second look,
 * and the whole remains a pure function of (observed, now, outcome) that a test can call without a cluster.
 */
export interface Controller<R, Observed, Status> {
  /** The kind whose objects are reconciled. */
  readonly resource: Kind;
  /** Everything else whose changes matter; each is listed and watched once, for all resources. */
  readonly watches: readonly WatchSpec[];
  /** Name of the finalizer that {@link Plan.finalizer} keeps and releases, e.g. `example.org/cleanup`. */
  readonly finalizer?: string;
  /** From the server's JSON to the controller's type. Must not throw on a bad spec: that is for `plan` to say in the status. */
  decode(object: KubeObject): R;
  /** Reads only. Throws {@link Wait} (errors.ts) or anything else, which is retried with backoff. */
  observe(resource: R, cluster: Cluster, signal: AbortSignal): Promise<Observed>;
  /** Pure. `undefined` where the object needs nothing, not even a status (for example while it is suspended). */
  plan(observed: Observed, now: Date): Plan<Status> | undefined;
  /**
   * Pure. The fields of a status that must be said whatever happens (generation, summary, conditions): written over what is there if the server refuses the
   * whole. Of several the first that the server takes.
   */
  minimalStatuses?(status: Status): readonly Partial<Status>[];
  /** Pure. What to say of a pass that ended in an error, so that what was said last is not believed for ever. Absent: nothing is. */
  failedStatus?(resource: R, problem: string, now: Date): Status;
}

/** One kind that the engine lists and watches. */
export interface WatchSpec extends Kind {
  /** Limits what is kept in memory, e.g. `app.kubernetes.io/managed-by=shop-operator`. */
  readonly labelSelector?: string;
  /** What is kept in memory. Absent: everything that the selector lets in. */
  readonly keep?: Keep;
  /** The API may be missing (a delegate operator that is not installed): looked for again every now and then. */
  readonly optional?: boolean;
  /** The resources that `object` belongs to; `listOwned` gives it to them and its changes wake them. Default: its controller ownerReference. */
  readonly concerns?: (object: KubeObject) => readonly ResourceName[];
}

/**
 * A label is no proof of ownership: whoever may create objects can put it on as many as he likes, of a megabyte each. All of an object is kept only where a
 * resource may need it; one that comes before its resource is read again for it.
 */
export interface Keep {
  /** Decides by name, labels and owner, all of which `part` keeps, and by the resource, which `find` answers if it exists. */
  readonly isWhole: (object: KubeObject, find: (resource: ResourceName) => KubeObject | undefined) => boolean;
  /** What is kept of any other object, of a size that has a limit: whose it is, and what else is read of it. */
  readonly part: (object: KubeObject) => KubeObject;
}

/** Names one object of the controller's own kind. */
export interface ResourceName {
  readonly namespace: string;
  readonly name: string;
}

/** The only port to Kubernetes. */
export interface Cluster {
  /** From the cache where all of the object is kept there; else with a GET. */
  read(key: Key, signal: AbortSignal): Promise<KubeObject | undefined>;
  /** Every cached object that concerns the owner (see {@link WatchSpec.concerns}). Asks only for the rest of those that came before their owner. */
  listOwned(owner: KubeObject, signal: AbortSignal): Promise<readonly KubeObject[]>;
  /** Every cached object of a watched kind, of all resources; no request is made. */
  listAll(kind: Kind, signal: AbortSignal): Promise<readonly KubeObject[]>;
  /** Namespaces that are looked after, and whose objects of a kind the cache does not tell of as they are now: {@link listAll} may lack some. */
  unseen(kind: Kind): readonly string[];
  /**
   * For how long the cache of a kind has followed the server without a gap. Of what was the same before that nobody knows whether it was so all the time, and
   * those who change it may have been cut off as well.
   */
  followedMs(kind: Kind, namespace: string): number;
  /** Whether the server has this kind now. Discovery, cached: for ten minutes what there is, for 20 s what there is not. */
  serves(kind: Kind, signal: AbortSignal): Promise<boolean>;
  /** Server-side apply, skipped when neither we nor the server changed anything. Throws {@link ApplyRefused} (errors.ts) or ApiError. */
  apply(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<Applied>;
  /** `gone`: it does not exist (or not in that life); never an error. Throws if what it was decided by has changed. */
  delete(key: Key, precondition: DeletePrecondition, signal: AbortSignal): Promise<'deleted' | 'gone'>;
  /** Writes `status` of an object if it differs. Throws {@link Wait} if the object changed and the cache does not know it yet. The object must be of a kind with the status subresource. */
  applyStatus(object: KubeObject, status: unknown, signal: AbortSignal): Promise<'configured' | 'unchanged'>;
}

export interface DeletePrecondition {
  readonly uid: string;
  /**
   * What it was decided by: nothing is deleted unless the server still has all of it in this version. For what cannot be made again; caches may be late. A pass that
   * has written some of it itself leaves the deletion to the next.
   */
  readonly unchanged?: readonly Basis[];
}

/** An object as it was when something was decided by it; without a version there was none. */
export interface Basis {
  readonly key: Key;
  readonly version: string | undefined;
}

export type ApplyResult = 'created' | 'configured' | 'unchanged';

export interface Applied {
  readonly kind: ApplyResult;
  /** The wish was the same as last time: somebody else had changed or deleted the object. */
  readonly repaired: boolean;
  /** The server made something else of it, by an admission webhook for instance. */
  readonly rewritten?: {
    /** Paths of what is not as it was sent. */
    readonly fields: readonly string[];
    /** Worth another try then. */
    readonly againMs: number;
  };
}

/** One object of a plan. */
export interface Desired {
  /** Without ownerReferences: the engine adds them according to `ownership`. */
  readonly manifest: Manifest;
  /** `controller`: deleted with its owner. `none`: survives it (retained data); then labels alone say whose it is. Default `controller`. */
  readonly ownership?: 'controller' | 'none';
  /**
   * For kinds that an autoscaler may scale; then `manifest.spec.replicas` must be absent. A second field manager applies the number,
   * or gives it up when `released`, so that the autoscaler's value stays as it is.
   */
  readonly replicas?: number | 'released';
  /**
   * Values of a Secret's `data` that the engine makes at random, once: a key that exists is never changed again, a missing
   * one is added. A restored or hand-made Secret is therefore respected.
   */
  readonly generated?: Readonly<Record<string, {readonly bytes: number; readonly encoding: 'base64url' | 'hex'}>>;
  /** Top-level fields (`data`, `spec`) that are written on creation only and then belong to whoever changes them. */
  readonly onceFields?: readonly string[];
  /** Take over a same-named object that is not ours. Without it such an object is left alone and reported as a conflict. */
  readonly adopt?: boolean;
  /** Only what the manifest says is ours, the rest of the object somebody else's. Without it, what others add (besides labels and annotations) is removed. */
  readonly partial?: true;
  /** The uid of the object that it was made from. When that is gone by then, nothing is made in its place: the next pass decides anew. */
  readonly life?: string;
}

/** An existing object that should not exist. Deleted only in this life (uid); of a long list the first, and the rest in passes that follow. */
export interface Surplus {
  readonly ref: ObjectRef;
  readonly unchanged?: DeletePrecondition['unchanged'];
}

/** Part of a plan that succeeds or fails on its own: a failing route never stops a database's repair. */
export interface ComponentPlan {
  readonly name: string;
  /** Applied in this order, one after the other. A refused one does not stop those behind it. */
  readonly desired: readonly Desired[];
  /** Deleted after the last of `desired`. */
  readonly prune?: readonly Surplus[];
}

export interface Plan<Status> {
  /** Run independently of each other. */
  readonly components: readonly ComponentPlan[];
  /** Deleted when all components have come to their end, because they make what takes its place. Its outcomes are those of a component `surplus`. */
  readonly surplus?: readonly Surplus[];
  /** What becomes of the finalizer before the first write: `release` once nothing is left to be done before the object may go. Absent: not touched. */
  readonly finalizer?: 'keep' | 'release';
  /** Pure; called once, after the writes. */
  readonly conclude: (outcome: Outcome) => Conclusion<Status>;
}

/** What the pass ends with. */
export interface Conclusion<Status> {
  /** `undefined` leaves the status alone. Must not hold anything that changes on every pass. */
  readonly status: Status | undefined;
  readonly events: readonly EventDraft[];
  readonly next: Next;
  /** The next pass acts upon what this status says for the first time: it follows at once when that is written. Default false. */
  readonly leadsOn?: boolean;
}

/** When to look again if nothing changes in between. Failed writes are retried with backoff whatever it says. */
export type Next = {readonly kind: 'on-change'} | {readonly kind: 'after'; readonly delayMs: number};

export interface EventDraft {
  readonly type: 'Normal' | 'Warning';
  /** UpperCamelCase, machine readable. */
  readonly reason: string;
  /** What was done, UpperCamelCase; default `Reconcile`. */
  readonly action?: string;
  /** For people; cut after 1 KiB. */
  readonly note: string;
  /** Not a state that lasts: reported by two passes, it happened twice. */
  readonly happened?: true;
}

/** By component name. */
export type Outcome = ReadonlyMap<string, readonly ObjectOutcome[]>;

/**
 * What became of one object of a component.
 *
 * - `conflict`: an object of that name exists and is somebody else's; not touched.
 * - `contested`: somebody else changes it as often as it is put right; left as it is for a minute.
 * - `immutable`: the server does not let `fields` change.
 * - `refused`: the server said no for good (admission, validation, quota, RBAC); retried slowly.
 * - `failed`: anything that may work next time; retried with backoff.
 */
export type ObjectOutcome =
  | {
      readonly kind: ApplyResult | 'deleted' | 'gone';
      readonly key: Key;
      readonly repaired: boolean;
      /** It was taken, and is not as it was sent at `fields`. */
      readonly rewritten?: {readonly fields: readonly string[]; readonly message: string};
    }
  | {readonly kind: 'conflict' | 'contested' | 'refused' | 'failed'; readonly key: Key; readonly message: string}
  | {readonly kind: 'immutable'; readonly key: Key; readonly message: string; readonly fields: readonly string[]};
