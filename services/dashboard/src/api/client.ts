import type {
  ApiToken,
  AuditCheck,
  AuditEntry,
  DeviceCommand,
  DeviceRecord,
  DeviceRow,
  EnrolmentToken,
  Fault,
  Group,
  GroupName,
  MadeToken,
  OneDevice,
  Page,
  Problem,
  Role,
  Session,
  Summary,
  Sync,
} from './types.ts';

/** An answer that says no. `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  readonly status: number;
  /** No call before this much time is over; 0 where the server said nothing of it. */
  readonly retryAfterMs: number;
  /** What the same call had made before, where that is why it is refused. */
  readonly madeId: string | undefined;
  /** What the server found wrong, part by part. */
  readonly faults: readonly Fault[];

  constructor(
    status: number,
    message: string,
    {
      retryAfterMs = 0,
      madeId,
      faults = [],
      ...options
    }: ErrorOptions & {
      readonly retryAfterMs?: number;
      readonly madeId?: string | undefined;
      readonly faults?: readonly Fault[];
    } = {},
  ) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.madeId = madeId;
    this.faults = faults;
  }
}

/** An answer that another try cannot change; what the page does about all others is to try again. */
export const isFinal = (error: Error): boolean =>
  error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;

export interface DeviceFilter {
  readonly status?: string | undefined;
  readonly group?: string | undefined;
  readonly shard?: string | undefined;
  /** Few devices are what this says, see {@link MARKS}. */
  readonly mark?: Mark | undefined;
  /** Words of a name or hardware id, or how an id begins. */
  readonly q?: string | undefined;
  /** What the list is sorted by, as the API says it: `-lastSync`. */
  readonly sort?: string | undefined;
}

/** What a list can be of alone. */
export const MARKS = ['revoked', 'decommissioned', 'disputed'] as const;
type Mark = (typeof MARKS)[number];
/** Undefined where no list can be of that. */
export const markOf = (text: string | undefined): Mark | undefined => MARKS.find((mark) => mark === text);

/** Which entries of the audit: what is given holds together. */
export interface AuditFilter {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly objectId?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

export interface SyncWish {
  readonly syncType: 'delta' | 'full';
  readonly force: boolean;
}

/** What differs; null: it goes. */
export interface DeviceChanges {
  readonly name?: string | null;
  readonly group?: string;
  readonly tags?: Readonly<Record<string, string | null>>;
}

export type DeviceAction = 'revoke' | 'reinstate' | 'decommission';

/** What a device has a paged list of. */
export interface DeviceLists {
  readonly syncs: Sync;
  readonly records: DeviceRecord;
  readonly commands: DeviceCommand;
}

/** Tokens of both kinds, as their addresses name them. */
export interface TokenLists {
  readonly 'enrolment-tokens': EnrolmentToken;
  readonly 'api-tokens': ApiToken;
}

interface TokenWish {
  readonly name: string;
  readonly expiresAt: string | null;
}

export interface TokenWishes {
  readonly 'enrolment-tokens': TokenWish & {readonly group: string; readonly maxDevices: number | null};
  readonly 'api-tokens': TokenWish & {readonly role: Role; readonly groups: readonly string[] | null};
}

export interface GroupWish {
  readonly name: string;
  /** Null: a static group. */
  readonly filter: string | null;
}

/** What differs. */
export interface GroupChanges {
  readonly name?: string;
  readonly filter?: string;
}

interface OneGroup {
  readonly data: Group;
}

export interface Api {
  readonly session: (signal?: AbortSignal) => Promise<Session | null>;
  readonly signIn: (token: string) => Promise<Session>;
  readonly signOut: (csrfToken: string) => Promise<void>;
  readonly summary: (signal?: AbortSignal) => Promise<Summary>;
  readonly devices: (filter: DeviceFilter, cursor: string | null, signal?: AbortSignal) => Promise<Page<DeviceRow>>;
  readonly device: (id: string, signal?: AbortSignal) => Promise<OneDevice>;
  /** @param revision of the device that the changes are made to: of another one they are refused with 412 */
  readonly changeDevice: (
    id: string,
    changes: DeviceChanges,
    revision: number,
    csrfToken: string,
  ) => Promise<OneDevice>;
  readonly setAccess: (id: string, action: DeviceAction, csrfToken: string) => Promise<OneDevice>;
  readonly deviceList: <K extends keyof DeviceLists>(
    id: string,
    list: K,
    cursor: string | null,
    signal?: AbortSignal,
  ) => Promise<Page<DeviceLists[K]>>;
  readonly requestSync: (id: string, wish: SyncWish, csrfToken: string) => Promise<{readonly requestId: string}>;
  readonly tokens: <K extends keyof TokenLists>(
    kind: K,
    cursor: string | null,
    signal?: AbortSignal,
  ) => Promise<Page<TokenLists[K]>>;
  /** @param callKey names the call: with the same one nothing is made again */
  readonly makeToken: <K extends keyof TokenWishes>(
    kind: K,
    wish: TokenWishes[K],
    callKey: string,
    csrfToken: string,
  ) => Promise<MadeToken>;
  readonly revokeToken: (kind: keyof TokenLists, id: string, csrfToken: string) => Promise<void>;
  readonly groups: (cursor: string | null, signal?: AbortSignal) => Promise<Page<Group>>;
  /** Those of all pages. */
  readonly groupNames: (signal?: AbortSignal) => Promise<readonly GroupName[]>;
  /** @param callKey as of `makeToken` */
  readonly makeGroup: (wish: GroupWish, callKey: string, csrfToken: string) => Promise<OneGroup>;
  /** @param revision as of `changeDevice` */
  readonly changeGroup: (id: number, changes: GroupChanges, revision: number, csrfToken: string) => Promise<OneGroup>;
  readonly deleteGroup: (id: number, csrfToken: string) => Promise<void>;
  readonly audit: (filter: AuditFilter, cursor: string | null, signal?: AbortSignal) => Promise<Page<AuditEntry>>;
  /** One part of a check. @param head that was kept elsewhere */
  readonly verifyAudit: (
    part: {readonly cursor: string | null; readonly head: string | undefined},
    signal?: AbortSignal,
  ) => Promise<AuditCheck>;
}

/** Whatever a column can show: so another column needs no other list, and moves nobody from where he is. */
const ROW_FIELDS = [
  'id',
  'name',
  'status',
  'group',
  'lastSyncAt',
  'lastSeenAt',
  'recordsTotal',
  'syncsTotal',
  'model',
  'shard',
  'enrolledAt',
] as const satisfies readonly (keyof DeviceRow)[];

/** Rows that the device list asks for at a time: some screens full, so that scrolling rarely waits. */
const DEVICE_PAGE_ROWS = 200;
const LIST_PAGE_ROWS = 25;
/** More than most regions have. */
const GROUP_PAGE_ROWS = 100;
const GROUP_NAMES_PAGE_ROWS = 500;

/** The grammar that admin-api's `filter` parameter speaks: conditions joined by `;`. */
export const filterExpression = (filter: DeviceFilter): string => {
  const conditions = (['status', 'group', 'shard'] as const).flatMap((field) => {
    const value = filter[field];
    return value === undefined ? [] : [`${field}==${/^[\w.-]+$/.test(value) ? value : JSON.stringify(value)}`];
  });
  return [...conditions, ...(filter.mark === undefined ? [] : [`${filter.mark}==true`])].join(';');
};

const given = (values: Readonly<Record<string, string | null | undefined>>): [string, string][] =>
  Object.entries(values).flatMap(([name, value]) => (value === undefined || value === null ? [] : [[name, value]]));

export const auditExportHref = (filter: AuditFilter, format: 'csv' | 'ndjson'): string =>
  `/api/v1/audit/export?${new URLSearchParams(given({...filter, format})).toString()}`;

const MAX_WAIT_MS = 600_000;

/** Longer than any change takes that is answered at all. */
const CHANGE_MS = 60_000;

/** Of `Retry-After` in seconds, as admin-api writes it; a proxy's date counts as nothing. */
const retryAfterMsOf = ({headers}: Response): number => {
  const seconds = Number(headers.get('retry-after') ?? 0);
  return seconds > 0 ? Math.min(seconds * 1000, MAX_WAIT_MS) : 0;
};

const pageQuery = (cursor: string | null, rows = LIST_PAGE_ROWS): string => {
  const query = new URLSearchParams({limit: String(rows)});
  if (cursor !== null) query.set('cursor', cursor);
  return query.toString();
};

const problemOf = async (response: Response): Promise<ApiError> => {
  const text = await response.text();
  const retryAfterMs = retryAfterMsOf(response);
  try {
    // Every error of admin-api is problem+json; anything else (a proxy's page) fails to parse or has no title.
    const problem = JSON.parse(text) as Partial<Problem>;
    const message = problem.detail ?? problem.title ?? `The server answered ${response.status}.`;
    return new ApiError(response.status, message, {
      retryAfterMs,
      ...(problem.id === undefined ? {} : {madeId: String(problem.id)}),
      faults: problem.errors ?? [],
    });
  } catch (cause) {
    return new ApiError(response.status, `The server answered ${response.status} ${response.statusText}.`, {
      cause,
      retryAfterMs,
    });
  }
};

export const createApi = (send: typeof fetch): Api => {
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    let response: Response;
    // An ETag leaves out `asOf`: a browser that asks with one is told "not modified", and hands over its old answer with the old time.
    try {
      // What only reads is ended by who asks.
      const signal = init.method === undefined ? {} : {signal: AbortSignal.timeout(CHANGE_MS)};
      response = await send(`/api/v1${path}`, {credentials: 'same-origin', cache: 'no-store', ...signal, ...init});
    } catch (cause) {
      if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
      if (cause instanceof DOMException && cause.name === 'TimeoutError') {
        throw new ApiError(
          0,
          'No answer came within a minute. It may be done all the same: look before you try again.',
          {
            cause,
          },
        );
      }
      throw new ApiError(0, 'The server cannot be reached. Check the network.', {cause});
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  };
  // The shapes are admin-api's contract: its own tests check its answers against the OpenAPI document.
  const get = async <T>(path: string, signal: AbortSignal | undefined): Promise<T> =>
    (await call(path, signal === undefined ? {} : {signal}).then((response) => response.json())) as T;
  const change = async <T>(
    method: 'POST' | 'PATCH',
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> =>
    (await call(path, {
      method,
      headers: {...(body === undefined ? {} : {'content-type': 'application/json'}), ...headers},
      ...(body === undefined ? {} : {body: JSON.stringify(body)}),
    }).then((response) => response.json())) as T;
  const post = <T>(path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<T> =>
    change('POST', path, body, headers);

  return {
    session: async (signal) => {
      try {
        return await get<Session>('/session', signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null;
        throw error;
      }
    },
    signIn: (token) => post<Session>('/session', {token}),
    signOut: async (csrfToken) => {
      await call('/session', {method: 'DELETE', headers: {'x-csrf-token': csrfToken}});
    },
    summary: (signal) => get<Summary>('/region/summary', signal),
    devices: (filter, cursor, signal) => {
      const query = new URLSearchParams({limit: String(DEVICE_PAGE_ROWS), fields: ROW_FIELDS.join(',')});
      const expression = filterExpression(filter);
      if (expression !== '') query.set('filter', expression);
      if (filter.q !== undefined) query.set('q', filter.q);
      if (filter.sort !== undefined) query.set('sort', filter.sort);
      if (cursor === null) query.set('count', 'true');
      else query.set('cursor', cursor);
      return get<Page<DeviceRow>>(`/devices?${query.toString()}`, signal);
    },
    device: (id, signal) => get(`/devices/${encodeURIComponent(id)}`, signal),
    changeDevice: (id, changes, revision, csrfToken) =>
      change('PATCH', `/devices/${encodeURIComponent(id)}`, changes, {
        'x-csrf-token': csrfToken,
        'if-match': `"${revision}"`,
      }),
    setAccess: (id, action, csrfToken) =>
      post(`/devices/${encodeURIComponent(id)}/${action}`, undefined, {'x-csrf-token': csrfToken}),
    deviceList: (id, list, cursor, signal) =>
      get(`/devices/${encodeURIComponent(id)}/${list}?${pageQuery(cursor)}`, signal),
    requestSync: (id, wish, csrfToken) =>
      post(`/devices/${encodeURIComponent(id)}/sync`, wish, {'x-csrf-token': csrfToken}),
    tokens: (kind, cursor, signal) => get(`/${kind}?${pageQuery(cursor)}`, signal),
    makeToken: (kind, wish, callKey, csrfToken) =>
      post(`/${kind}`, wish, {'x-csrf-token': csrfToken, 'idempotency-key': callKey}),
    groups: (cursor, signal) => get(`/groups?${pageQuery(cursor, GROUP_PAGE_ROWS)}`, signal),
    groupNames: async (signal) => {
      const names: GroupName[] = [];
      let cursor: string | null = null;
      do {
        const query = `${pageQuery(cursor, GROUP_NAMES_PAGE_ROWS)}&fields=name,kind`;
        const page: Page<GroupName> = await get(`/groups?${query}`, signal);
        names.push(...page.data);
        cursor = page.nextCursor;
      } while (cursor !== null);
      return names;
    },
    makeGroup: (wish, callKey, csrfToken) =>
      post('/groups', wish, {'x-csrf-token': csrfToken, 'idempotency-key': callKey}),
    changeGroup: (id, changes, revision, csrfToken) =>
      change('PATCH', `/groups/${id}`, changes, {'x-csrf-token': csrfToken, 'if-match': `"${revision}"`}),
    deleteGroup: async (id, csrfToken) => {
      await call(`/groups/${id}`, {method: 'DELETE', headers: {'x-csrf-token': csrfToken}});
    },
    audit: (filter, cursor, signal) => {
      const query = new URLSearchParams(given({...filter}));
      return get(`/audit?${pageQuery(cursor)}&${query.toString()}`, signal);
    },
    verifyAudit: (part, signal) => get(`/audit/verify?${new URLSearchParams(given({...part})).toString()}`, signal),
    revokeToken: async (kind, id, csrfToken) => {
      await call(`/${kind}/${encodeURIComponent(id)}`, {method: 'DELETE', headers: {'x-csrf-token': csrfToken}});
    },
  };
};
