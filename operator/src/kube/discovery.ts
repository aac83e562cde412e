import {type ApiClient} from './api-client.ts';
import {type Clock} from './clock.ts';
import {ApiError} from './errors.ts';
import {type Key, type Kind} from './object.ts';

/** How a kind is addressed over HTTP. */
interface Endpoint {
  readonly base: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/** A kind that is missing may be installed any time; one that is there seldom goes, and a 404 tells so ({@link Discovery.forget}). */
const MISSING_FOR_MS = 20_000;
const KNOWN_FOR_MS = 600_000;

/**
 * A name as a part of a path. No object has a name of dots alone, which would lead to another path however it is written, or one that Kubernetes' own check of
 * path segments refuses; so it is not found. Throws {@link ApiError} 404.
 */
const pathPart = (name: string): string => {
  if (/^[\x21-\x7e]{1,253}$/.test(name) && !/^\.\.?$|[/%]/.test(name)) return encodeURIComponent(name);
  throw new ApiError(`no object has the name ${JSON.stringify(name.slice(0, 64))}`, {status: 404, reason: 'NotFound'});
};

interface Entry {
  readonly kinds: ReadonlyMap<string, Endpoint>;
  readonly readAtMs: number;
}

/** Knows which kinds the server has and where. One GET per group/version, remembered. */
export class Discovery {
  readonly #client: Pick<ApiClient, 'send'>;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #groups = new Map<string, Entry>();

  constructor(client: Pick<ApiClient, 'send'>, clock: Pick<Clock, 'monotonicMs'>) {
    this.#client = client;
    this.#clock = clock;
  }

  async serves(kind: Kind, signal: AbortSignal): Promise<boolean> {
    return (await this.#find(kind, signal)) !== undefined;
  }

  /** The server answered as if it did not have this kind: it is asked anew next time. */
  forget({apiVersion}: Kind): void {
    this.#groups.delete(apiVersion);
  }

  async objectPath(key: Key, signal: AbortSignal): Promise<string> {
    return `${await this.collectionPath(key, key.namespace, signal)}/${pathPart(key.name)}`;
  }

  /** `namespace` undefined: the collection over all namespaces (or of a cluster-scoped kind). */
  async collectionPath(kind: Kind, namespace: string | undefined, signal: AbortSignal): Promise<string> {
    const endpoint = await this.#get(kind, signal);
    const scope = endpoint.namespaced && namespace !== undefined ? `/namespaces/${pathPart(namespace)}` : '';
    return `${endpoint.base}${scope}/${endpoint.plural}`;
  }

  async #get(kind: Kind, signal: AbortSignal): Promise<Endpoint> {
    const endpoint = await this.#find(kind, signal);
    if (endpoint !== undefined) return endpoint;
    throw new ApiError(`the server has no ${kind.kind} in ${kind.apiVersion}: is its operator or CRD installed?`, {
      status: 404,
      reason: 'KindNotServed',
    });
  }

  async #find(kind: Kind, signal: AbortSignal): Promise<Endpoint | undefined> {
    const known = this.#groups.get(kind.apiVersion);
    const found = known?.kinds.get(kind.kind);
    const ageMs = known === undefined ? Infinity : this.#clock.monotonicMs() - known.readAtMs;
    if (ageMs < (found === undefined ? MISSING_FOR_MS : KNOWN_FOR_MS)) return found;
    try {
      const kinds = await this.#load(kind.apiVersion, signal);
      this.#groups.set(kind.apiVersion, {kinds, readAtMs: this.#clock.monotonicMs()});
      return kinds.get(kind.kind);
    } catch (error) {
      // An aggregated API server that is away must not stop everything else: what was so a while ago is so until the server says otherwise.
      if (known === undefined || signal.aborted) throw error;
      return found;
    }
  }

  async #load(apiVersion: string, signal: AbortSignal): Promise<ReadonlyMap<string, Endpoint>> {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const response = await this.#client.send({method: 'GET', path: base, signal}).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
    // An APIResourceList, or nothing where the group/version is not served.
    const list = response?.body as {readonly resources?: readonly ApiResource[]} | undefined;
    return new Map(
      (list?.resources ?? [])
        .filter(({name}) => !name.includes('/'))
        .map(({kind, name, namespaced}) => [kind, {base, plural: name, namespaced}]),
    );
  }
}

interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}
