import {type ApiClient} from './api-client.ts';
import {backoffDelayMs, type BackoffPolicy} from './backoff.ts';
import {clean, unread} from './clean.ts';
import {pause, type Clock} from './clock.ts';
import {type ResourceName, type WatchSpec} from './controller.ts';
import {type Discovery} from './discovery.ts';
import {ApiError, messageOf, TooLong} from './errors.ts';
import {type Identity} from './identity.ts';
import {linesOf} from './lines.ts';
import {type Log} from './log.ts';
import {type KubeMetrics} from './metrics.ts';
import {type KubeObject} from './object.ts';
import {compareVersions, type Store} from './store.ts';
import {AT_ONCE, LISTS_AFTER, reasonOf, WatchEnded} from './watch-ended.ts';

export interface ReflectorOptions {
  readonly spec: WatchSpec;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly store: Store;
  readonly client: Pick<ApiClient, 'send' | 'stream'>;
  readonly discovery: Discovery;
  readonly clock: Clock;
  readonly random: () => number;
  readonly metrics: KubeMetrics;
  readonly identity: Identity;
  readonly log: Log;
  /** Of what belongs to no resource that exists only a part may be kept. */
  readonly findResource: (resource: ResourceName) => KubeObject | undefined;
  /** An optional kind was installed or removed while this runs: what was decided without or with it may be wrong now. */
  readonly onServedChange?: () => void;
  /** The store can be gone by, for the first time or again. */
  readonly onClear?: () => void;
}

/** Why a store is not what the server has. */
export interface Obstacle {
  /** The server says no. Otherwise it did not answer yet. */
  readonly isRefused: boolean;
  readonly message: string;
  /** On the monotonic clock. */
  readonly sinceMs: number;
}

/**
 * Objects a page. Each may have a megabyte and more, whoever made it, and a page is in memory twice before anything of it can be left out, therefore one page at
 * a time; each further page costs a request of some milliseconds when the process starts and once an hour.
 */
const PAGE = 20;
/** JSON of the server has six bytes for a `<`, so an object may have nine megabytes. A longer page is asked for again with fewer, of which one is always taken. */
const PAGE_BYTES = 2 ** 24;
const FEWER = 5;
/** client-go's delays for its reflectors. */
const BACKOFF: BackoffPolicy = {firstMs: 800, longestMs: 30_000, jitter: 0.5};
/** The server ends a watch after a random 5 to 10 minutes, so that watches of many clients do not end together. */
const WATCH_SECONDS = {least: 300, spread: 300};
/** Servers send a bookmark about once a minute: after two and a half the connection is taken for dead. */
const IDLE_MS = 150_000;
/** A watch that ends sooner, without an event, did not really start: treated as a failure. */
const SHORTEST_WATCH_MS = 1_000;
/** Whatever its watch says, a kind is listed anew this often, at a random time: a watch that tells nothing looks like one that has nothing to tell. */
const RELIST_MS = {least: 45 * 60_000, spread: 30 * 60_000};
/** How often a kind that is not installed is looked for. */
const MISSING_KIND_MS = 20_000;
/** After a shorter gap the watch goes on where it ended, and tells what was missed at once. A leader keeps its lease over that long, so nobody else has led meanwhile. */
const SHORT_GAP_MS = 10_000;
/** A watch that is open tells at once what was missed before it: after this it has. */
const CATCH_UP_MS = 200;

/** Answers that tell nothing of an optional kind, as if it were not served: others come from a server in trouble. */
const EXCUSES: ReadonlySet<number> = new Set([403, 404]);

/** Answers that mean no, and not that something is the matter with the server. */
const REFUSALS: ReadonlySet<number> = new Set([401, 403, 404]);

interface WatchEvent {
  readonly type: string;
  readonly object: KubeObject & {readonly code?: number; readonly message?: string};
}

/** Of a List of the API server: metadata and items are always there. */
interface Page {
  readonly metadata: {readonly resourceVersion: string; readonly continue?: string};
  readonly items: readonly KubeObject[] | null;
}

/** Keeps one store equal to what the server has: a LIST, then WATCH for about an hour, and so on for ever. */
export class Reflector {
  readonly #options: ReflectorOptions;
  /** Where the next watch starts; undefined: list first. */
  #version: string | undefined;
  #relistMs = 0;
  /** Since when the store has followed the server without a gap; undefined: it has not begun to. */
  #sinceMs: number | undefined;
  /** When it ceased to, which it does between two watches, too; undefined: it follows. */
  #lostMs: number | undefined = -Infinity;
  #obstacle: Obstacle | undefined;
  /** Why an optional kind counts as not served, besides that it is not. */
  #excuse: string | undefined;
  /** What the last failure said. */
  #said = '';
  /** In a row. */
  #failures = 0;
  /** Ends the rest between two attempts. */
  #wake = new AbortController();
  /** Whether the server has the kind; undefined until that is known. */
  #served: boolean | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#obstacle = {isRefused: false, message: 'is not listed yet', sinceMs: options.clock.monotonicMs()};
  }

  /** Why nobody should go by the store now. It holds what the server had when it last followed it. */
  get obstacle(): Obstacle | undefined {
    if (this.#obstacle !== undefined || this.#excuse !== undefined || !this.#isLong()) return this.#obstacle;
    return {isRefused: false, message: 'its watch is not answered yet', sinceMs: this.#lostMs ?? 0};
  }

  /** What keeps it from telling of an optional kind, which is no obstacle. */
  get excuse(): string | undefined {
    return this.#excuse;
  }

  /** For how long the store has followed the server without a gap: of what was so before nobody knows whether it was so all the time. */
  followedMs(): number {
    return this.#sinceMs === undefined ? 0 : (this.#lostMs ?? this.#options.clock.monotonicMs()) - this.#sinceMs;
  }

  /** The server can be reached again: asks it now if the store does not follow it, and soon again if it does not answer at once. */
  hurry(): void {
    this.#failures = 0;
    this.#wake.abort();
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const {spec, clock, random, log} = this.#options;
    while (!signal.aborted) {
      try {
        if (spec.optional === true && !(await this.#options.discovery.serves(spec, signal))) {
          this.#version = undefined;
          this.#options.store.clear();
          this.#follow();
          this.#know(false);
          await pause(clock, MISSING_KIND_MS, signal);
          continue;
        }
        let version = this.#version;
        let isListed = false;
        if (
          version === undefined ||
          this.#mustList() ||
          (this.#failures > 0 && (await this.#isRolledBack(version, signal)))
        ) {
          version = this.#version = await this.#list(signal);
          isListed = true;
          this.#follow();
        }
        this.#know(true);
        await this.#watch(version, isListed, signal, () => (this.#failures = 0));
        this.#failures = 0;
      } catch (error) {
        if (isAborted(signal)) return;
        const reason = reasonOf(error);
        this.#options.metrics.watchRestarts.inc({kind: spec.kind, reason});
        // The kind may be gone, or have come back after the last look.
        if (error instanceof ApiError && error.status === 404) this.#options.discovery.forget(spec);
        if (LISTS_AFTER.has(reason)) this.#version = undefined;
        this.#failures++;
        const delayMs =
          AT_ONCE.has(reason) && this.#failures === 1 ? 0 : backoffDelayMs(BACKOFF, this.#failures, random());
        const isNews = this.#lose(error);
        const {kind} = spec;
        const fields = {kind, namespace: this.#options.namespace, reason, delayMs, error: messageOf(error)};
        log[isNews ? 'warn' : 'debug'](fields, 'watch interrupted');
        this.#wake = new AbortController();
        await pause(clock, delayMs, AbortSignal.any([signal, this.#wake.signal]));
      }
    }
  }

  #mustList(): boolean {
    return this.#options.clock.monotonicMs() >= this.#relistMs || this.#isLong();
  }

  /** Whether the store has not followed the server for longer than a watch may bridge. */
  #isLong(): boolean {
    return this.#lostMs !== undefined && this.#options.clock.monotonicMs() - this.#lostMs > SHORT_GAP_MS;
  }

  /** From now on the store is what the server has. */
  #follow(): void {
    const before = this.obstacle;
    if (this.#sinceMs === undefined || this.#isLong()) this.#sinceMs = this.#options.clock.monotonicMs();
    this.#lostMs = undefined;
    this.#said = '';
    this.#excuse = undefined;
    this.#obstacle = undefined;
    if (before !== undefined) this.#options.onClear?.();
  }

  /** From now on the server knows more than the store. Answers whether what is in the way is something new. */
  #lose(error: unknown): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    this.#lostMs ??= nowMs;
    const message = messageOf(error);
    const isNews = message !== this.#said;
    this.#said = message;
    const status = error instanceof ApiError ? error.status : 0;
    const before = this.obstacle;
    // What is optional keeps nobody waiting whom the server does not let see it. What was seen counts until it is plain that this is not over in a moment.
    if (this.#options.spec.optional === true && EXCUSES.has(status) && this.#isLong()) {
      this.#excuse = message;
      this.#obstacle = undefined;
      this.#version = undefined;
      this.#options.store.clear();
      if (before !== undefined) this.#options.onClear?.();
    } else {
      this.#excuse = undefined;
      const isRefused = REFUSALS.has(status);
      // A refusal begins with itself, and not while nobody answered.
      const isSame = before !== undefined && (before.isRefused || !isRefused);
      this.#obstacle = {isRefused, message, sinceMs: isSame ? before.sinceMs : nowMs};
    }
    return isNews;
  }

  #know(served: boolean): void {
    const before = this.#served;
    this.#served = served;
    if (before !== undefined && before !== served) this.#options.onServedChange?.();
  }

  /**
   * Whether the server's newest version is older than ours: its data was restored from a backup. It would take a watch from our version all the same and be
   * silent until its versions have come that far again. Nobody restores under connections that stay, so this is asked after one broke.
   */
  async #isRolledBack(version: string, signal: AbortSignal): Promise<boolean> {
    const {spec, metrics, log} = this.#options;
    const {metadata} = await this.#page(1, '', signal);
    const isOlder = compareVersions(metadata.resourceVersion, version) < 0;
    if (isOlder) {
      metrics.watchRestarts.inc({kind: spec.kind, reason: 'rolled-back'});
      log.warn({kind: spec.kind, had: version, has: metadata.resourceVersion}, 'the server went back in time');
    }
    return isOlder;
  }

  async #page(limit: number, token: string, signal: AbortSignal): Promise<Page> {
    const {spec, namespace, client, discovery} = this.#options;
    const path = await discovery.collectionPath(spec, namespace, signal);
    const query = {...this.#selector(), limit: String(limit), ...(token === '' ? {} : {continue: token})};
    const cut = (page: unknown): Page => this.#cut(page as Page);
    const mostBytes = limit === 1 ? undefined : PAGE_BYTES;
    const {body} = await client.send({method: 'GET', path, query, signal, cut, mostBytes});
    return body as Page;
  }

  #cut({metadata, items}: Page): Page {
    return {metadata, items: (items ?? []).map((item) => this.#kept(item))};
  }

  async #list(signal: AbortSignal): Promise<string> {
    const {spec, store, metrics, clock, random} = this.#options;
    const relistMs = clock.monotonicMs() + RELIST_MS.least + RELIST_MS.spread * random();
    const objects: KubeObject[] = [];
    let limit = PAGE;
    /** Since the last page that was too long. */
    let pages = 0;
    let token = '';
    do {
      const page = await this.#page(limit, token, signal).catch(unlessTooLong);
      if (page === undefined) {
        limit = Math.ceil(limit / FEWER);
        pages = 0;
        continue;
      }
      pages += 1;
      // What was too long is read, more or less.
      if (pages % FEWER === 0) limit = Math.min(PAGE, limit * FEWER);
      objects.push(...(page.items ?? []));
      token = page.metadata.continue ?? '';
      if (token === '') {
        metrics.lists.inc({kind: spec.kind});
        this.#relistMs = relistMs;
        store.replace(objects, page.metadata.resourceVersion);
        return page.metadata.resourceVersion;
      }
    } while (!signal.aborted);
    throw signal.reason;
  }

  /** Returns when the server closed the watch as agreed. `isListed`: its version is as new as the server can tell. */
  async #watch(version: string, isListed: boolean, signal: AbortSignal, onAlive: () => void): Promise<void> {
    const {spec, namespace, client, discovery, clock, random, metrics} = this.#options;
    const path = await discovery.collectionPath(spec, namespace, signal);
    const startedMs = clock.monotonicMs();
    const idle = new AbortController();
    let cancelIdle = clock.schedule(IDLE_MS, () => idle.abort());
    let cancelFollow = (): void => undefined;
    let events = 0;
    this.#lostMs ??= startedMs;
    try {
      const body = await client.stream({
        path,
        query: {
          ...this.#selector(),
          watch: 'true',
          allowWatchBookmarks: 'true',
          resourceVersion: version,
          timeoutSeconds: String(Math.round(WATCH_SECONDS.least + WATCH_SECONDS.spread * random())),
        },
        signal: AbortSignal.any([signal, idle.signal]),
      });
      if (!isListed && this.#isLong()) {
        // Nobody reads on, so its end is nobody's error.
        body.on('error', () => undefined).destroy();
        throw new WatchEnded('late', 'the server took too long to open the watch');
      }
      cancelFollow = clock.schedule(CATCH_UP_MS, () => this.#follow());
      for await (const line of linesOf(body)) {
        cancelIdle();
        cancelIdle = clock.schedule(IDLE_MS, () => idle.abort());
        events++;
        // One WatchEvent a line is the protocol; a line that is not JSON throws and counts as a cut.
        this.#take(JSON.parse(line) as WatchEvent);
        onAlive();
      }
    } catch (error) {
      if (idle.signal.aborted) throw new WatchEnded('idle', `no event for ${IDLE_MS / 1000} s`, error);
      throw error;
    } finally {
      cancelIdle();
      cancelFollow();
      this.#lostMs ??= clock.monotonicMs();
    }
    if (events === 0 && clock.monotonicMs() - startedMs < SHORTEST_WATCH_MS) {
      throw new WatchEnded('short', 'the server ended the watch at once');
    }
    metrics.watchRestarts.inc({kind: spec.kind, reason: 'closed'});
  }

  #take({type, object}: WatchEvent): void {
    const {store} = this.#options;
    const {resourceVersion} = object.metadata;
    if (type !== 'ERROR' && this.#version !== undefined && compareVersions(resourceVersion, this.#version) < 0)
      throw new WatchEnded('expired', `version ${resourceVersion} came after ${this.#version}`);
    switch (type) {
      case 'BOOKMARK':
        break;
      case 'ADDED':
      case 'MODIFIED':
        store.put(this.#kept(object));
        break;
      case 'DELETED':
        store.remove(this.#kept(object));
        break;
      case 'ERROR':
        throw new WatchEnded(object.code === 410 ? 'expired' : 'error-event', object.message ?? 'error event');
      default:
        throw new WatchEnded('error-event', `unknown event type ${type}`);
    }
    this.#version = resourceVersion;
  }

  /** What anybody has written into an object ends no watch. */
  #kept(object: KubeObject): KubeObject {
    const {spec, identity, log} = this.#options;
    try {
      return this.#read(object);
    } catch (error) {
      const {namespace, name} = object.metadata;
      log.error({kind: spec.kind, namespace, object: name, error: messageOf(error)}, 'object not read');
      return unread(object, spec, identity);
    }
  }

  #read(object: KubeObject): KubeObject {
    const {spec, identity, findResource} = this.#options;
    const {keep, apiVersion, kind} = spec;
    if (keep === undefined || keep.isWhole(object, findResource)) return clean(object, spec, identity);
    const part = keep.part(object);
    return {...part, apiVersion, kind, metadata: {...part.metadata, partial: true}};
  }

  #selector(): Record<string, string> {
    const {labelSelector} = this.#options.spec;
    return labelSelector === undefined ? {} : {labelSelector};
  }
}

const unlessTooLong = (error: unknown): undefined => {
  if (!(error instanceof TooLong)) throw error;
};

/** The signal changes behind the compiler's back. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
