import {backoffDelayMs, type BackoffPolicy} from './backoff.ts';
import {type Caches} from './caches.ts';
import {type Clock} from './clock.ts';
import {type Applied, type ApplyResult, type DeletePrecondition, type Desired} from './controller.ts';
import {ApplyRefused} from './errors.ts';
import {covers, fingerprint, project, uncovered} from './fingerprint.ts';
import {MANAGED_BY, type Identity} from './identity.ts';
import {straysOf, type FieldSet, type Strays} from './managed-fields.ts';
import {type KubeMetrics} from './metrics.ts';
import {
  describeKey,
  keyOf,
  keyText,
  type Key,
  type KubeObject,
  type Manifest,
  type ObjectRef,
  recordOf,
} from './object.ts';
import {lacking, type ObjectWriter} from './object-writer.ts';
import {signed, strangerOf} from './ownership.ts';
import {refusalOf} from './refusal.ts';
import {TokenBucket} from './token-bucket.ts';

export interface ApplierOptions {
  readonly writer: Pick<ObjectWriter, 'read' | 'delete' | 'apply' | 'claim' | 'create' | 'fill'>;
  readonly caches: Caches;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly metrics: KubeMetrics;
}

/**
 * How often one object is put right: somebody who tries things out is far below it, a second controller that wants something else far above. Both
 * are woken by the other's write, so without a limit they would write as fast as the server takes it.
 */
const REPAIRS = {burst: 20, refillMs: 60_000};

/**
 * How long an answer that is not what was sent is left alone: an admission webhook that rewrites every write would be met again at once, and may be gone
 * later. Doubled while it stays the same.
 */
const REWRITTEN_RETRY = {firstMs: 30_000, longestMs: 600_000, jitter: 0};

/** A field that the server does not change: asked again now and then, as the one who said so may have been an admission webhook. */
const REFUSED_RETRY = {firstMs: 60_000, longestMs: 600_000, jitter: 0};

/** Something that was not as it was sent or not taken at all, so often in a row: tried again then. */
interface Retry {
  readonly times: number;
  readonly dueMs: number;
}

/** What is remembered of the last apply of one object. */
interface Memory {
  readonly uid: string;
  readonly hash: string;
  readonly replicas: Desired['replicas'];
  /** Fingerprint of the live object at the places we speak about, after the apply. */
  readonly live: string;
  /** The server said that this wish is impossible for this object. */
  readonly refused?: Retry & {readonly refusal: ApplyRefused};
  /** The server made something else of it. */
  readonly rewritten?: Retry & {readonly fields: readonly string[]};
}

/**
 * Makes objects as desired by server-side apply, and sends nothing when neither the wish nor the object changed.
 *
 * Suppression is not an optimisation alone: applying a StatefulSet with volumeClaimTemplates again bumps its resourceVersion
 * every time (kubernetes/kubernetes#119304), which wakes the controller, which applies it again. Of the last apply it
 * remembers the hash of the wish and a fingerprint of the answer at the places the wish speaks about; an annotation with
 * the hash carries the first over a restart. What somebody else has added beside those places the server itself records ({@link straysOf}).
 */
export class Applier {
  readonly #options: ApplierOptions;
  /** By owner's uid, then by key. */
  readonly #memory = new Map<string, Map<string, Memory>>();
  /** By owner's uid, then by key: objects that somebody else has changed. */
  readonly #repairs = new Map<string, Map<string, TokenBucket>>();

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  async apply(desired: Desired, owner: ObjectRef, signal: AbortSignal): Promise<Applied> {
    const key = keyOf(desired.manifest);
    const {metrics} = this.#options;
    try {
      const applied = await this.#apply(desired, key, owner, signal);
      metrics.applies.inc({kind: key.kind, result: applied.kind});
      if (applied.repaired) metrics.driftRepairs.inc({kind: key.kind});
      return applied;
    } catch (error) {
      const refusal = refusalOf(error, key);
      metrics.applies.inc({kind: key.kind, result: refusal?.kind ?? 'failed'});
      throw refusal ?? error;
    }
  }

  async delete(key: Key, precondition: DeletePrecondition, signal: AbortSignal): Promise<'deleted' | 'gone'> {
    const end = await this.#options.writer.delete(key, precondition, signal).catch((error: unknown) => {
      throw refusalOf(error, key) ?? error;
    });
    if (end === 'deleted') for (const remembered of this.#memory.values()) remembered.delete(keyText(key));
    return end;
  }

  /** The owner is gone and its objects with it. */
  forget(ownerUid: string): void {
    this.#memory.delete(ownerUid);
    this.#repairs.delete(ownerUid);
  }

  async #apply(desired: Desired, key: Key, owner: ObjectRef, signal: AbortSignal): Promise<Applied> {
    const {identity, caches, writer} = this.#options;
    refuseReplicas(desired);
    const live = caches.getWhole(key) ?? (await writer.read(key, signal));
    if (desired.life !== undefined && live?.metadata.uid !== desired.life) return {kind: 'unchanged', repaired: false};
    if (live !== undefined) {
      const stranger = strangerOf(live, desired, owner, identity);
      if (stranger !== undefined) throw new ApplyRefused('conflict', key, stranger);
      if (live.metadata.deletionTimestamp !== undefined) {
        throw new Error(`${describeKey(key)} is still being deleted: waiting until it is gone`);
      }
    }
    const isOnce = desired.generated !== undefined || (desired.onceFields?.length ?? 0) > 0;
    const wish = isOnce ? without(desired, desired.onceFields ?? []) : desired;
    const hash = fingerprint(signed(wish, owner, identity, ''));
    const manifest = signed(wish, owner, identity, hash);
    const memory = this.#memory.get(owner.uid) ?? new Map<string, Memory>();
    this.#memory.set(owner.uid, memory);
    const remembered = memory.get(keyText(key));
    const isSameWish =
      remembered === undefined
        ? live?.metadata.annotations?.[identity.appliedAnnotation] === hash
        : remembered.hash === hash && remembered.replicas === desired.replicas;
    let isPaid = !isSameWish;
    /** Whatever of it somebody else has changed: one pass is one repair, and a write that is not taken is none. */
    const repairing = async (write: () => Promise<KubeObject>): Promise<KubeObject> => {
      const bucket = isPaid ? undefined : this.#repairsOf(key, owner);
      const written = await write();
      bucket?.take(this.#options.clock.monotonicMs());
      isPaid = true;
      return written;
    };
    if (live === undefined) {
      const created = await repairing(async () => {
        if (isOnce) await writer.create(desired, owner, signal);
        return writer.apply(manifest, identity.manager, signal);
      });
      const judged = this.#judge(this.#memoryOf(hash, created, wish), created, manifest, remembered);
      memory.set(keyText(key), judged);
      await this.#scale(desired, created, signal);
      return {kind: 'created', repaired: isSameWish, ...this.#rewrittenOf(judged)};
    }
    const isLacking = lacking(desired, recordOf(live['data'])).length > 0;
    let current = isLacking ? await repairing(() => writer.fill(desired, live, signal)) : live;
    let now = this.#memoryOf(hash, current, wish);
    const strays =
      desired.partial === true ? NO_STRAYS : straysOf(current.metadata.foreign, current, manifest, freeOf(desired));
    const isDone = this.#isDone(remembered, now, strays, current, manifest);
    // What an admission webhook made of it is no repair, as long as nobody has changed anything besides.
    const isRetry = !isDone && remembered?.rewritten !== undefined && isClean(strays) && isAsBefore(remembered, now);
    if (!isDone) {
      const write = async (): Promise<KubeObject> => {
        if (Object.keys(strays.added).length > 0) await writer.claim(current, strays.added, signal);
        return writer.apply(manifest, identity.manager, signal);
      };
      try {
        current = await (isRetry ? write() : repairing(write));
      } catch (error) {
        const refusal = refusalOf(error, key);
        if (refusal?.kind === 'immutable') {
          const retry = this.#retry(REFUSED_RETRY, isAsBefore(remembered, now) ? remembered?.refused : undefined);
          memory.set(keyText(key), {...now, refused: {...retry, refusal}});
        }
        throw error;
      }
      now = this.#judge(this.#memoryOf(hash, current, wish), current, manifest, remembered);
    } else if (remembered?.rewritten !== undefined) {
      now = {...now, rewritten: remembered.rewritten};
    }
    memory.set(keyText(key), now);
    if (isScaledOtherwise(desired, current)) current = await repairing(() => this.#scale(desired, current, signal));
    const kind: ApplyResult =
      current.metadata.resourceVersion === live.metadata.resourceVersion ? 'unchanged' : 'configured';
    // Of the wish before a restart the number of replicas is not known; and what an admission webhook goes on to rewrite is nothing that was repaired.
    const isRepair = isSameWish && (remembered !== undefined || !isDone) && (!isRetry || now.rewritten === undefined);
    return {kind, repaired: kind === 'configured' && isRepair, ...this.#rewrittenOf(now)};
  }

  /** Whether nothing is to be sent. Throws a refusal again while nothing changed that could lift it. */
  #isDone(remembered: Memory | undefined, now: Memory, strays: Strays, live: KubeObject, manifest: Manifest): boolean {
    // After a restart nothing is remembered: the annotation says that this very wish was applied, the object that nothing of it was undone.
    if (remembered === undefined) return isClean(strays) && covers(live, manifest);
    if (!isClean(strays) || !isAsBefore(remembered, now)) return false;
    const nowMs = this.#options.clock.monotonicMs();
    if (remembered.refused !== undefined) {
      if (nowMs < remembered.refused.dueMs) throw remembered.refused.refusal;
      return false;
    }
    return remembered.rewritten === undefined || nowMs < remembered.rewritten.dueMs;
  }

  /** The answer to an apply is what we wanted, or what somebody on the way to the server's memory made of it. */
  #judge(now: Memory, answer: KubeObject, manifest: Manifest, before: Memory | undefined): Memory {
    const fields = uncovered(answer, manifest);
    if (fields.length === 0) return now;
    const retry = this.#retry(REWRITTEN_RETRY, isAsBefore(before, now) ? before?.rewritten : undefined);
    return {...now, rewritten: {...retry, fields}};
  }

  #retry(policy: BackoffPolicy, before: Retry | undefined): Retry {
    const times = (before?.times ?? 0) + 1;
    return {times, dueMs: this.#options.clock.monotonicMs() + backoffDelayMs(policy, times, 0)};
  }

  #rewrittenOf({rewritten}: Memory): Pick<Applied, 'rewritten'> {
    if (rewritten === undefined) return {};
    const {fields, dueMs} = rewritten;
    return {rewritten: {fields, againMs: Math.max(0, dueMs - this.#options.clock.monotonicMs())}};
  }

  /** What is left of repairs of an object. */
  #repairsOf(key: Key, owner: ObjectRef): TokenBucket {
    const nowMs = this.#options.clock.monotonicMs();
    const buckets = this.#repairs.get(owner.uid) ?? new Map<string, TokenBucket>();
    this.#repairs.set(owner.uid, buckets);
    const bucket = buckets.get(keyText(key)) ?? new TokenBucket(REPAIRS, nowMs);
    buckets.set(keyText(key), bucket);
    if (bucket.has(nowMs)) return bucket;
    throw new ApplyRefused(
      'contested',
      key,
      'somebody else changes or deletes it as often as it is put right, which is now done once a minute; --show-managed-fields tells who',
    );
  }

  #memoryOf(hash: string, live: KubeObject, {manifest, replicas}: Desired): Memory {
    const {labels, annotations, ...metadata} = manifest.metadata;
    const {identity} = this.#options;
    const places = {
      ...manifest,
      metadata: {
        ...metadata,
        labels: {...labels, [MANAGED_BY]: '', [identity.resourceLabel]: ''},
        annotations: {...annotations, [identity.appliedAnnotation]: ''},
        ownerReferences: [],
      },
    };
    return {uid: live.metadata.uid, hash, replicas, live: fingerprint(project(live, places))};
  }

  /**
   * `spec.replicas` is a second field manager's, so that the first never has to drop it: a field whose last owner drops it falls
   * back to its default of 1. For the same reason nothing is sent when an autoscaler takes over; its first write takes the field.
   */
  async #scale(desired: Desired, live: KubeObject, signal: AbortSignal): Promise<KubeObject> {
    const {replicas, manifest} = desired;
    if (typeof replicas !== 'number' || !isScaledOtherwise(desired, live)) return live;
    const {apiVersion, kind, metadata} = manifest;
    const target = {name: metadata.name, ...(metadata.namespace === undefined ? {} : {namespace: metadata.namespace})};
    const manager = `${this.#options.identity.manager}-scale`;
    return this.#options.writer.apply({apiVersion, kind, metadata: target, spec: {replicas}}, manager, signal);
  }
}

const NO_STRAYS: Strays = {added: {}, replaced: false};

const isScaledOtherwise = ({replicas}: Desired, live: KubeObject): boolean =>
  typeof replicas === 'number' && recordOf(live['spec'])['replicas'] !== replicas;

const isClean = ({added, replaced}: Strays): boolean => !replaced && Object.keys(added).length === 0;

const isAsBefore = (before: Memory | undefined, now: Memory): boolean =>
  before?.uid === now.uid && before.hash === now.hash && before.live === now.live;

/** Fields of an object of ours that are not ours alone. */
const freeOf = ({onceFields, generated, replicas}: Desired): readonly FieldSet[] => [
  ...(onceFields ?? []).map((field) => ({[`f:${field}`]: {}})),
  // People may keep more in a Secret than we do.
  ...(generated === undefined ? [] : [{'f:data': {}}]),
  ...(replicas === undefined ? [] : [{'f:spec': {'f:replicas': {}}}]),
];

const refuseReplicas = ({manifest, replicas}: Desired): void => {
  if (replicas !== undefined && recordOf(manifest['spec'])['replicas'] !== undefined) {
    throw new Error(`${describeKey(keyOf(manifest))}: replicas must be given beside the manifest or in it, not both`);
  }
};

const without = (desired: Desired, fields: readonly string[]): Desired => ({
  ...desired,
  // Only optional top-level fields are left out; apiVersion, kind and metadata stay.
  manifest: Object.fromEntries(Object.entries(desired.manifest).filter(([name]) => !fields.includes(name))) as Manifest,
});
