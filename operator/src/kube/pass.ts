import {type ApiCluster} from './api-cluster.ts';
import {type Clock} from './clock.ts';
import {
  type Cluster,
  type ComponentPlan,
  type Controller,
  type EventDraft,
  type Next,
  type ObjectOutcome,
  type Outcome,
  type Surplus,
} from './controller.ts';
import {ApiError, ApplyRefused, messageOf, NotLeader, Wait} from './errors.ts';
import {type EventRecorder} from './event-recorder.ts';
import {describeKey, keyOf, keyText, refOf, type Key, type KubeObject, type ObjectRef, recordOf} from './object.ts';
import {refusalOf} from './refusal.ts';

/** What a pass does to the cluster: what a controller may, and the finalizer of the resource itself. */
export type PassCluster = Cluster & Pick<ApiCluster, 'setFinalizer'>;

export interface PassOptions<R, Observed, Status> {
  readonly controller: Controller<R, Observed, Status>;
  readonly cluster: PassCluster;
  readonly events: Pick<EventRecorder, 'report'>;
  readonly clock: Clock;
  /** By uid: what could not be deleted, in passes over whatever object, and why; what was tried last is the last. */
  readonly kept: Map<string, 'failed' | 'refused'>;
  readonly onStatus?: ((object: KubeObject, status: Status) => void) | undefined;
}

/**
 * - `quiet`: nothing was written: what is wanted is there.
 * - `changed`: something was written; the next pass sees what came of it.
 * - `refused`: something is in the way that retrying at once will not move.
 * - `failed`: worth another try soon.
 * - `unseen`: not begun, because something of its namespace is not seen.
 */
export interface PassResult {
  readonly kind: 'quiet' | 'changed' | 'refused' | 'failed' | 'unseen';
  readonly next: Next;
  /** What a server that is overloaded asked for. */
  readonly retryAfterMs: number;
  /** What was not written, and what was not taken as it was sent. */
  readonly problems: readonly string[];
}

/**
 * One pass over one object: observe, plan, write, conclude. `deadline` ends the writes, `signal` everything.
 * Rejects when observing or planning fails, which the status then says, or when this process may not write any more.
 */
export const runPass = async <R, Observed, Status>(
  object: KubeObject,
  options: PassOptions<R, Observed, Status>,
  deadline: AbortSignal,
  signal: AbortSignal,
): Promise<PassResult> => {
  try {
    return await attempt(object, options, deadline, signal);
  } catch (error) {
    if (!(error instanceof NotLeader || error instanceof Wait || signal.aborted))
      // The error itself is the one to end with.
      await sayFailed(object, messageOf(error), options, signal).catch((unsaid: unknown) =>
        options.events.report(refOf(object), notWritten(unsaid, signal), signal, true),
      );
    throw error;
  }
};

/** Of a pass that has not done its work. */
export const sayFailed = async <R, Observed, Status>(
  object: KubeObject,
  problem: string,
  options: PassOptions<R, Observed, Status>,
  signal: AbortSignal,
): Promise<void> => {
  const {controller, clock, events} = options;
  const status = controller.failedStatus?.(controller.decode(object), problem, clock.now());
  if (status === undefined) return;
  options.onStatus?.(object, status);
  const {unsaid} = await writeStatus(object, status, options, signal);
  if (unsaid !== undefined) await events.report(refOf(object), [statusNotWritten(unsaid)], signal, true);
};

const statusNotWritten = (note: string): EventDraft => ({type: 'Warning', reason: 'StatusNotWritten', note});

/** For somebody who looks at an object whose status goes on saying what was so before. An event is another resource, which may be let through. */
const notWritten = (error: unknown, signal: AbortSignal): readonly EventDraft[] =>
  error instanceof NotLeader || error instanceof Wait || signal.aborted
    ? []
    : [statusNotWritten(`the status cannot be written: ${messageOf(error)}`)];

/** To the pass that acts upon what this one has written down, whatever else went wrong in it. */
const FOLLOW_MS = 5;

const attempt = async <R, Observed, Status>(
  object: KubeObject,
  options: PassOptions<R, Observed, Status>,
  deadline: AbortSignal,
  signal: AbortSignal,
): Promise<PassResult> => {
  const {controller, cluster, events, clock} = options;
  const observed = await controller.observe(controller.decode(object), cluster, deadline);
  const plan = controller.plan(observed, clock.now());
  if (plan === undefined) return {kind: 'quiet', next: {kind: 'on-change'}, retryAfterMs: 0, problems: []};
  const current = await withFinalizer(object, plan.finalizer, options, signal);
  if (current === undefined) return {kind: 'quiet', next: {kind: 'on-change'}, retryAfterMs: 0, problems: []};
  const owner = refOf(current);
  const writing: Writing = {cluster, owner, deadline, signal, kept: options.kept, retryAfterMs: 0, againMs: Infinity};
  const written = await runComponents(plan.components, writing);
  const surplus = stillDecided(plan.surplus, written);
  const outcome = surplus.length === 0 ? written : new Map([...written, [SURPLUS, await prune(surplus, writing)]]);
  const conclusion = plan.conclude(outcome);
  const {isNew, unsaid} = await writeStatus(current, conclusion.status, options, signal).catch(
    async (error: unknown) => {
      // What happened is seen by no later pass.
      if (!(error instanceof NotLeader || signal.aborted)) await events.report(owner, conclusion.events, signal, true);
      throw error;
    },
  );
  if (conclusion.status !== undefined) options.onStatus?.(current, conclusion.status);
  const unwritten = unsaid === undefined ? [] : [statusNotWritten(unsaid)];
  await events.report(owner, [...conclusion.events, ...unwritten], signal);
  const all = [...outcome.values()].flat();
  const problems = all.flatMap((result) => ('message' in result ? result.message : (result.rewritten?.message ?? [])));
  const verdict = verdictOf(all);
  const followMs = isNew && conclusion.leadsOn === true ? FOLLOW_MS : Infinity;
  return {
    kind: verdict === 'quiet' && unsaid !== undefined ? 'refused' : verdict,
    next: sooner(conclusion.next, Math.min(writing.againMs, followMs)),
    retryAfterMs: writing.retryAfterMs,
    problems: unsaid === undefined ? problems : [...problems, unsaid],
  };
};

/** The object as it is then; undefined when it is gone, which the last finalizer's release may lead to. */
const withFinalizer = async <R, Observed, Status>(
  object: KubeObject,
  wanted: 'keep' | 'release' | undefined,
  {cluster, controller: {finalizer}}: PassOptions<R, Observed, Status>,
  signal: AbortSignal,
): Promise<KubeObject | undefined> => {
  if (finalizer === undefined || wanted === undefined) return object;
  // A server takes no new finalizer for an object that is being deleted.
  if (wanted === 'keep' && object.metadata.deletionTimestamp !== undefined) return object;
  return cluster.setFinalizer(object, finalizer, wanted === 'keep', signal);
};

/**
 * Writes the status. One that the server refuses (a field that the installed CRD does not have, a value that it forbids) must not hide what the region is
 * in: then what matters is written over what is there, and the rest stays as it was said last.
 */
const writeStatus = async <R, Observed, Status>(
  object: KubeObject,
  status: Status | undefined,
  {cluster, controller}: PassOptions<R, Observed, Status>,
  signal: AbortSignal,
): Promise<Said> => {
  if (status === undefined) return {isNew: false, unsaid: undefined};
  const least = controller.minimalStatuses?.(status) ?? [];
  let unsaid: string | undefined;
  for (const wish of [status, ...least.map((part) => ({...recordOf(object['status']), ...part}))]) {
    try {
      return {isNew: (await cluster.applyStatus(object, wish, signal)) === 'configured', unsaid};
    } catch (error) {
      const refusal = refusalOf(error, keyOf(object));
      if (refusal === undefined) throw error;
      unsaid ??= `the status was refused: ${refusal.message}`;
    }
  }
  return {isNew: false, unsaid: least.length === 0 ? unsaid : `${unsaid}; so was the least that can be said`};
};

interface Said {
  /** Something was written that the server did not have. */
  readonly isNew: boolean;
  /** Why the whole of it was not written. */
  readonly unsaid: string | undefined;
}

const sooner = (next: Next, againMs: number): Next =>
  againMs === Infinity || (next.kind === 'after' && next.delayMs <= againMs) ? next : {kind: 'after', delayMs: againMs};

/** Name of the outcomes of what is deleted at the end. */
const SURPLUS = 'surplus';

const WRITTEN: ReadonlySet<ObjectOutcome['kind']> = new Set(['created', 'configured']);

/** Without what was decided by an object that the pass itself has written since: the next pass, which follows at once, decides by what it is now. */
export const stillDecided = (surplus: readonly Surplus[] = [], outcome: Outcome): readonly Surplus[] => {
  const own = new Set([...outcome.values()].flat().flatMap(({kind, key}) => (WRITTEN.has(kind) ? [keyText(key)] : [])));
  return surplus.filter(({unchanged = []}) => !unchanged.some(({key}) => own.has(keyText(key))));
};

interface Writing {
  readonly cluster: PassCluster;
  readonly owner: ObjectRef;
  readonly deadline: AbortSignal;
  readonly signal: AbortSignal;
  readonly kept: PassOptions<unknown, unknown, unknown>['kept'];
  retryAfterMs: number;
  againMs: number;
}

/**
 * All components beside each other. An error that ends the pass is thrown only when every one of them has stopped: one that went on alone would
 * write beside the next pass over the same object, or in a later term.
 */
const runComponents = async (components: readonly ComponentPlan[], writing: Writing): Promise<Outcome> => {
  const ends = await Promise.allSettled(
    components.map(async (component) => [component.name, await runComponent(component, writing)] as const),
  );
  return new Map(
    ends.map((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value;
    }),
  );
};

const runComponent = async (component: ComponentPlan, writing: Writing): Promise<readonly ObjectOutcome[]> => {
  const {cluster, owner, deadline} = writing;
  const results: ObjectOutcome[] = [];
  for (const desired of component.desired) {
    const key = keyOf(desired.manifest);
    results.push(
      await settle(key, writing, async () => {
        const {kind, repaired, rewritten} = await cluster.apply(desired, owner, deadline);
        if (rewritten === undefined) return {kind, key, repaired};
        const {fields, againMs} = rewritten;
        writing.againMs = Math.min(writing.againMs, againMs);
        return {kind, key, repaired, rewritten: {fields, message: rewrittenMessage(key, fields)}};
      }),
    );
  }
  return [...results, ...(await prune(component.prune, writing))];
};

/** Enough to find out who does it. */
const FIELDS_TOLD = 3;

const rewrittenMessage = (key: Key, fields: readonly string[]): string => {
  const more = fields.length > FIELDS_TOLD ? ` and ${fields.length - FIELDS_TOLD} more` : '';
  return `${describeKey(key)}: an admission webhook or policy makes something else of it (${fields.slice(0, FIELDS_TOLD).join(', ')}${more})`;
};

/** Of a list, in one pass: there may be any number, each takes a request of its own, and others wait for the worker meanwhile. */
export const MOST_PRUNED = 50;
/** After this the rest of it follows. */
const PRUNE_AGAIN_MS = 1_000;
/** When it is more, all is forgotten, which costs some requests: nobody tells whether what was kept still exists. */
const MOST_KEPT = 10_000;

const prune = async (surplus: readonly Surplus[] = [], writing: Writing): Promise<readonly ObjectOutcome[]> => {
  const {kept} = writing;
  if (surplus.length === 0) return [];
  if (kept.size > MOST_KEPT) kept.clear();
  // What is not let go may not be for ever: nothing waits for it, and it is told the same every time. What failed may go the next time: each has its turn.
  const turns = new Map([...kept].map(([uid, end], turn) => [uid, end === 'failed' ? turn : kept.size]));
  const order = surplus.toSorted((a, b) => (turns.get(a.ref.uid) ?? -1) - (turns.get(b.ref.uid) ?? -1));
  const results: ObjectOutcome[] = [];
  for (const {ref, unchanged = []} of order.slice(0, MOST_PRUNED)) {
    const {uid, ...key} = ref;
    if (writing.deadline.aborted && !writing.signal.aborted) {
      const left = surplus.length - results.length;
      const message = `${describeKey(key)}: the pass ran out of time with ${left} left to delete`;
      return [...results, {kind: 'failed', key, message}];
    }
    const result = await settle(key, writing, async () => {
      const kind = await writing.cluster.delete(key, {uid, unchanged}, writing.deadline);
      return {kind, key, repaired: false};
    });
    kept.delete(uid);
    if ('message' in result) kept.set(uid, result.kind === 'failed' ? 'failed' : 'refused');
    results.push(result);
  }
  const left = order.slice(results.length);
  if (left.length === 0) return results;
  // What the server does not let go is tried again like everything that it refuses.
  const isLess = results.some(({kind}) => kind === 'deleted' || kind === 'gone');
  const isUntried = left.some(({ref}) => !kept.has(ref.uid)) && results.every(({kind}) => kind !== 'failed');
  if (isLess || isUntried) writing.againMs = Math.min(writing.againMs, PRUNE_AGAIN_MS);
  if (isLess) return results;
  return results.map((result, index) =>
    index === 0 && 'message' in result
      ? {...result, message: `${result.message}; ${left.length} more are left to delete`}
      : result,
  );
};

/** Turns an error into an outcome, except those that end the whole pass. */
const settle = async (key: Key, writing: Writing, write: () => Promise<ObjectOutcome>): Promise<ObjectOutcome> => {
  try {
    return await write();
  } catch (error) {
    if (error instanceof NotLeader || writing.signal.aborted) throw error;
    if (error instanceof ApplyRefused) {
      return error.kind === 'immutable'
        ? {kind: 'immutable', key, message: error.message, fields: error.fields}
        : {kind: error.kind, key, message: error.message};
    }
    if (error instanceof ApiError) writing.retryAfterMs = Math.max(writing.retryAfterMs, error.retryAfterMs ?? 0);
    const reason = writing.deadline.aborted ? 'the pass ran out of time' : messageOf(error);
    return {kind: 'failed', key, message: `${describeKey(key)}: ${reason}`};
  }
};

const REFUSALS: ReadonlySet<ObjectOutcome['kind']> = new Set(['conflict', 'contested', 'refused', 'immutable']);

const verdictOf = (outcomes: readonly ObjectOutcome[]): PassResult['kind'] => {
  const kinds = new Set(outcomes.map(({kind}) => kind));
  if (kinds.has('failed')) return 'failed';
  if (kinds.has('created') || kinds.has('configured') || kinds.has('deleted')) return 'changed';
  return [...kinds].some((kind) => REFUSALS.has(kind)) ? 'refused' : 'quiet';
};
