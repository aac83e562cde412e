import {type ApiClient} from './api-client.ts';
import {type Caches} from './caches.ts';
import {type Clock} from './clock.ts';
import {type Discovery} from './discovery.ts';
import {LEASE_MS, type Lease} from './election.ts';
import {ApiError, CHANGED_RETRY_MS, fateOf, isNotFound, isUnserved, Wait} from './errors.ts';
import {type Identity} from './identity.ts';
import {type Log} from './log.ts';
import {describeKey, keyOf, type KubeObject} from './object.ts';
import {clean} from './clean.ts';
import {refusalOf} from './refusal.ts';

export interface ClaimsOptions {
  readonly client: Pick<ApiClient, 'send'>;
  readonly discovery: Pick<Discovery, 'objectPath'>;
  readonly caches: Pick<Caches, 'assume' | 'getWhole' | 'has'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  readonly identity: Identity;
  /** Names this operator, all its replicas together. */
  readonly lease: {readonly namespace: string; readonly name: string};
}

/** Whose an object is. */
export type Claim =
  /** `refusal`: nobody holds it, and the server did not let that be written down. */
  | {readonly kind: 'ours'; readonly object: KubeObject; readonly refusal?: string}
  | {readonly kind: 'theirs'; readonly message: string}
  | {readonly kind: 'gone'};

/** A Lease that was given up by an operator that restarts is taken again sooner than this. */
const RELEASED_FOR_MS = LEASE_MS;
/** Its own replicas take over after one length: whoever waits for two knows that none of them did. */
const SILENT_FOR_MS = 2 * LEASE_MS;
/** How often it is looked whether the operator that holds an object is still there. */
export const LOOK_AGAIN_MS = 10_000;
/** Of what lies between two looks that are further apart nothing is known: while the API server is away nobody can renew. */
const LONGEST_GAP_MS = 1.5 * LOOK_AGAIN_MS;
/** Objects with the same holder share one look at its Lease. */
const SIGHT_MS = 5_000;

interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

/** `namespace/name` as Kubernetes admits them; at most 63 and 253 characters. */
const LEASE = /^(?<namespace>[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)\/(?<name>[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)$/;

/** Of what an annotation says, which anybody may have written. What names no Lease counts as nobody. */
const leaseOf = (holder: string): LeaseName | undefined => {
  const {namespace, name} = LEASE.exec(holder)?.groups ?? {};
  return namespace === undefined || name === undefined ? undefined : {namespace, name};
};

/** What was seen of another operator's Lease. */
interface Sight {
  readonly state: 'missing' | 'forbidden' | 'released' | 'held';
  readonly version: string;
  /** Since when it has been looked at without a gap and was this version every time. */
  readonly sinceMs: number;
  /** When the last look began. */
  readonly lookedMs: number;
}

/** Why the holder counts as alive; undefined: it does not. */
const lives = ({state, sinceMs, lookedMs}: Sight): string | undefined => {
  const unchangedMs = lookedMs - sinceMs;
  switch (state) {
    case 'missing':
      return undefined;
    case 'forbidden':
      return 'whose Lease this one may not read';
    case 'released':
      return unchangedMs >= RELEASED_FOR_MS ? undefined : 'which has just given its Lease up';
    case 'held':
      return unchangedMs >= SILENT_FOR_MS ? undefined : 'which renews its Lease';
  }
};

/** The same for as long as nothing is heard of a holder. */
const asSeen = (holder: string, sight: Sight | undefined): string =>
  sight === undefined ? holder : `${holder} ${sight.state} ${sight.version}`;

/**
 * Keeps operators with different Leases from working on the same objects: an election decides within one operator only. Whoever comes first writes its Lease's
 * name onto the object; another one leaves that object alone until the Lease is gone, given up or silent, as seen by its own clock.
 */
export class Claims {
  readonly #options: ClaimsOptions;
  readonly #us: string;
  readonly #sights = new Map<string, Sight>();
  /** By uid: what was taken though the server did not let that be written down, and from whom, as it was then. Nothing else says that it is ours. */
  readonly #unwritten = new Map<string, string>();

  constructor(options: ClaimsOptions) {
    this.#options = options;
    this.#us = `${options.lease.namespace}/${options.lease.name}`;
  }

  /** Whose an object was when it was seen last, by what is written on it or was to be written. */
  async holderOf(object: KubeObject, signal: AbortSignal): Promise<'us' | 'nobody' | 'another'> {
    const holder = this.#holderOn(object);
    if (holder === this.#us) return 'us';
    const lease = leaseOf(holder);
    const taken = this.#unwritten.get(object.metadata.uid);
    if (taken !== undefined) {
      const sight = lease && (await this.#look(lease, signal).catch(() => undefined));
      if (taken === asSeen(holder, sight)) return 'us';
    }
    return lease === undefined ? 'nobody' : 'another';
  }

  /** Claims an object that nobody holds. Throws {@link Wait} if it changed meanwhile. */
  async take(object: KubeObject, signal: AbortSignal): Promise<Claim> {
    const {uid, name, namespace} = object.metadata;
    const holder = this.#holderOn(object);
    if (holder === this.#us) {
      this.#unwritten.delete(uid);
      return {kind: 'ours', object};
    }
    const lease = leaseOf(holder);
    const sight = lease && (await this.#look(lease, signal));
    const from = asSeen(holder, sight);
    if (this.#unwritten.get(uid) !== from) {
      this.#unwritten.delete(uid);
      const why = sight && lives(sight);
      if (why !== undefined) {
        const message = `${describeKey(keyOf(object))} is looked after by another operator, ${holder}, ${why}: this one (${this.#us}) leaves it alone`;
        return {kind: 'theirs', message};
      }
    }
    const claim = await this.#write(object, signal);
    if (claim.kind === 'ours' && claim.refusal !== undefined) this.#unwritten.set(uid, from);
    else if (claim.kind === 'ours' && lease !== undefined)
      this.#options.log.info({object: name, namespace, from: holder}, 'taken over');
    return claim;
  }

  forget(uid: string): void {
    this.#unwritten.delete(uid);
  }

  #holderOn({metadata}: KubeObject): string {
    return metadata.annotations?.[this.#options.identity.holderAnnotation] ?? '';
  }

  async #write(object: KubeObject, signal: AbortSignal): Promise<Claim> {
    const {client, discovery, caches, identity} = this.#options;
    const key = keyOf(object);
    const {resourceVersion} = object.metadata;
    try {
      const {body} = await client.send({
        method: 'PATCH',
        path: await discovery.objectPath(key, signal),
        query: {fieldManager: identity.manager},
        contentType: 'application/merge-patch+json',
        // The version lets one of two operators win that both found it free.
        body: {metadata: {resourceVersion, annotations: {[identity.holderAnnotation]: this.#us}}},
        signal,
      });
      // A successful patch answers the object.
      const written = clean(body as KubeObject, key, identity);
      caches.assume(written);
      return {kind: 'ours', object: caches.getWhole(key) ?? written};
    } catch (error) {
      const fate = fateOf(error, caches.has(object));
      if (fate === 'gone') return {kind: 'gone'};
      if (fate === 'changed') {
        throw new Wait(`${describeKey(key)} changed before it was claimed`, CHANGED_RETRY_MS);
      }
      const refusal = refusalOf(error, key);
      if (refusal === undefined || isUnserved(error)) throw error;
      // A right that is missing, a webhook: no reason to let down an object that nobody else looks after.
      return {kind: 'ours', object, refusal: refusal.message};
    }
  }

  async #look(lease: LeaseName, signal: AbortSignal): Promise<Sight> {
    const holder = `${lease.namespace}/${lease.name}`;
    const lookedMs = this.#options.clock.monotonicMs();
    const before = this.#sights.get(holder);
    if (before !== undefined && lookedMs - before.lookedMs < SIGHT_MS) return before;
    const {state, version} = await this.#read(lease, signal).catch((error: unknown) => {
      // A look that fails is a gap.
      if (this.#sights.get(holder) === before) this.#sights.delete(holder);
      throw error;
    });
    const isAsBefore = before?.state === state && before.version === version;
    const goesOn = isAsBefore && lookedMs - before.lookedMs <= LONGEST_GAP_MS;
    // Counted from after the answer: never longer than it was so.
    const sinceMs = goesOn ? before.sinceMs : this.#options.clock.monotonicMs();
    const sight: Sight = {state, version, sinceMs, lookedMs};
    this.#sights.delete(holder);
    this.#sights.set(holder, sight);
    // What is older tells nothing any more. Whoever may annotate an object can name any number of holders, but each look takes a request.
    for (const [other, {lookedMs: thenMs}] of this.#sights) {
      if (lookedMs - thenMs <= LONGEST_GAP_MS) break;
      this.#sights.delete(other);
    }
    return sight;
  }

  async #read({namespace, name}: LeaseName, signal: AbortSignal): Promise<Pick<Sight, 'state' | 'version'>> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${name}`;
    try {
      const {body} = await this.#options.client.send({method: 'GET', path, signal, timeoutMs: 5_000});
      // The path of a Lease answers a Lease.
      const {metadata, spec} = body as Lease;
      return {state: (spec?.holderIdentity ?? '') === '' ? 'released' : 'held', version: metadata.resourceVersion};
    } catch (error) {
      if (isNotFound(error)) return {state: 'missing', version: ''};
      if (error instanceof ApiError && error.status === 403) return {state: 'forbidden', version: ''};
      throw error;
    }
  }
}
