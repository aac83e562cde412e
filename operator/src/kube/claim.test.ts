import {describe, expect, test} from '@jest/globals';
import {Claims, LOOK_AGAIN_MS} from './claim.ts';
import {LEASE_MS} from './election.ts';
import {ApiError, Wait} from './errors.ts';
import {type ApiRequest, type ApiResponse} from './api-client.ts';
import {type KubeObject} from './object.ts';
import {FakeClock} from './testing/fake-clock.ts';
import {forever, identity, liveObject, testLog} from './testing/fixtures.ts';

const OPERATOR = identity.holderAnnotation;

/** A server with one Lease (or an error instead) and one object. */
class Server {
  lease: {readonly version: string; readonly holder: string} | number = 404;
  patch: 'accept' | number = 'accept';
  /** Of a patch that is answered with 404 or 409. */
  said = {
    reason: 'Conflict',
    said: 'Operation cannot be fulfilled on configmaps "north": the object has been modified',
  };
  readonly patches: unknown[] = [];
  reads = 0;

  send({method, body}: ApiRequest): Promise<ApiResponse> {
    if (method === 'GET') {
      this.reads++;
      if (typeof this.lease === 'number') return fail(this.lease);
      const {version, holder} = this.lease;
      const lease = {metadata: {resourceVersion: version}, spec: {holderIdentity: holder}};
      return Promise.resolve({status: 200, body: lease});
    }
    if (this.patch === 404 || this.patch === 409)
      return Promise.reject(new ApiError(`answered ${this.said.said}`, {status: this.patch, ...this.said}));
    if (this.patch !== 'accept') return fail(this.patch);
    this.patches.push(body);
    return Promise.resolve({status: 200, body: heldBy('ours/green', '2')});
  }
}

const fail = (status: number): Promise<never> =>
  Promise.reject(new ApiError(`answered ${status}`, {status, reason: status === 404 ? 'NotFound' : ''}));

const heldBy = (holder: string | undefined, version = '1'): KubeObject =>
  liveObject('north', version, holder === undefined ? {} : {annotations: {[OPERATOR]: holder}});

const setUp = (isCached = false) => {
  const server = new Server();
  const clock = new FakeClock();
  const log = testLog();
  const claims = new Claims({
    client: server,
    discovery: {objectPath: () => Promise.resolve('/north')},
    caches: {assume: () => undefined, getWhole: () => undefined, has: () => isCached},
    clock,
    log,
    identity,
    lease: {namespace: 'ours', name: 'green'},
  });
  const take = async (object: KubeObject) => (await claims.take(object, forever)).kind;
  /** Whose it was at each of so many looks, one after the other as in life. */
  const looks = async (times: number): Promise<readonly string[]> => {
    const seen: string[] = [];
    for (let time = 0; time < times; time++) {
      seen.push(await take(heldBy('theirs/blue')));
      clock.freeze(LOOK_AGAIN_MS);
    }
    return seen;
  };
  return {server, clock, log, claims, take, looks};
};

describe('an object', () => {
  test('of nobody is claimed in the version that was seen', async () => {
    const {server, take} = setUp();
    expect(await take(heldBy(undefined))).toBe('ours');
    expect(server.patches).toEqual([{metadata: {resourceVersion: '1', annotations: {[OPERATOR]: 'ours/green'}}}]);
  });

  test('of ours costs nothing', async () => {
    const {server, take} = setUp();
    expect(await take(heldBy('ours/green'))).toBe('ours');
    expect([server.reads, server.patches.length]).toEqual([0, 0]);
  });

  test('that another one claims at the same time is looked at again', async () => {
    const {server, take} = setUp();
    server.patch = 409;
    await expect(take(heldBy(undefined))).rejects.toThrow(Wait);
  });

  test.each([
    [404, 'NotFound'],
    [409, 'Conflict'],
  ])('that a webhook lets nobody change is worked on, though it says so with %i', async (status, reason) => {
    const {server, claims} = setUp(true);
    server.patch = status;
    server.said = {reason, said: 'admission webhook "w.example.com" denied the request: in use'};
    expect(await claims.take(heldBy(undefined), forever)).toMatchObject({
      kind: 'ours',
      refusal: expect.stringContaining('in use'),
    });
  });

  test('that is gone meanwhile is nobody’s', async () => {
    const {server, take} = setUp();
    server.patch = 404;
    server.said = {reason: 'NotFound', said: 'configmaps "north" not found'};
    expect(await take(heldBy(undefined))).toBe('gone');
  });

  test('that the server does not find although it has not told of its end is looked at again', async () => {
    const {server, take} = setUp(true);
    server.patch = 404;
    server.said = {reason: 'NotFound', said: 'configmaps "north" not found'};
    await expect(take(heldBy(undefined))).rejects.toThrow(Wait);
  });

  test('whose kind a server does not serve is nobody’s, and not gone', async () => {
    const {server, take} = setUp();
    server.patch = 404;
    server.said = {reason: '', said: '404 page not found'};
    await expect(take(heldBy(undefined))).rejects.toThrow('page not found');
  });

  test.each([403, 422])('of nobody is worked on although claiming it is refused with %i', async (status) => {
    const {server, claims} = setUp();
    server.patch = status;
    expect(await claims.take(heldBy(undefined), forever)).toMatchObject({
      kind: 'ours',
      refusal: expect.stringContaining('answered'),
    });
  });

  test('stays with a holder that renews its Lease', async () => {
    const {server, clock, take} = setUp();
    for (let version = 1; version < 20; version++) {
      server.lease = {version: String(version), holder: 'pod'};
      expect(await take(heldBy('theirs/blue'))).toBe('theirs');
      clock.freeze(LEASE_MS);
    }
    expect(server.patches).toEqual([]);
  });

  test.each([
    ['has been silent for two lengths of a Lease', 'pod', 2 * LEASE_MS],
    ['gave its Lease up and did not come back within one length', '', LEASE_MS],
  ])('is taken from a holder that %s', async (_what, holder, afterMs) => {
    const {server, looks} = setUp();
    server.lease = {version: '1', holder};
    const before = Math.ceil(afterMs / LOOK_AGAIN_MS);
    expect(await looks(before)).toEqual(Array(before).fill('theirs'));
    expect(await looks(1)).toEqual(['ours']);
  });

  test.each(['pod', ''])(
    'stays ours although its claim is refused, until something is heard of its holder (%j)',
    async (holder) => {
      const {server, clock, claims, take, looks} = setUp();
      const object = heldBy('theirs/blue');
      server.lease = {version: '1', holder};
      server.patch = 403;
      expect((await looks(4)).at(-1)).toBe('ours');
      // A pass that was refused something comes again later than it is looked at a Lease.
      for (let time = 0; time < 3; time++) {
        clock.freeze(2 * LOOK_AGAIN_MS);
        expect(await claims.take(object, forever)).toMatchObject({
          kind: 'ours',
          refusal: expect.stringContaining('answered 403'),
        });
        expect(await claims.holderOf(object, forever)).toBe('us');
      }
      server.lease = {version: '2', holder: 'pod'};
      clock.freeze(LOOK_AGAIN_MS);
      expect(await claims.holderOf(object, forever)).toBe('another');
      expect(await take(object)).toBe('theirs');
    },
  );

  test('of nobody is ours while its claim is refused, and until somebody else claims it or it is gone', async () => {
    const {server, claims, take} = setUp();
    expect(await claims.holderOf(heldBy(undefined), forever)).toBe('nobody');
    server.patch = 403;
    await take(heldBy(undefined));
    expect(await claims.holderOf(heldBy(undefined), forever)).toBe('us');
    server.lease = {version: '1', holder: 'pod'};
    expect(await claims.holderOf(heldBy('theirs/blue'), forever)).toBe('another');
    claims.forget(heldBy(undefined).metadata.uid);
    expect(await claims.holderOf(heldBy(undefined), forever)).toBe('nobody');
  });

  test.each(['pod', ''])('is not taken for what was not seen of its holder (%j)', async (holder) => {
    const {server, clock, looks} = setUp();
    server.lease = {version: '1', holder};
    expect(await looks(2)).toEqual(['theirs', 'theirs']);
    // Nobody looked for a while, for example because nobody could.
    clock.freeze(2 * LEASE_MS);
    expect(await looks(2)).toEqual(['theirs', 'theirs']);
    expect(server.patches).toEqual([]);
  });

  test.each(['pod', ''])('is not taken for looks that failed (%j)', async (holder) => {
    const {server, looks} = setUp();
    const lease = {version: '1', holder};
    for (let time = 0; time < 5; time++) {
      server.lease = lease;
      expect(await looks(1)).toEqual(['theirs']);
      server.lease = 503;
      await expect(looks(1)).rejects.toThrow('answered 503');
    }
  });

  test.each(['theirs/blue', 'blue', 'a/b/c'])('of %s is taken when there is no such Lease', async (holder) => {
    expect(await setUp().take(heldBy(holder))).toBe('ours');
  });

  test('stays with a holder whose Lease may not be read, for ever', async () => {
    const {server, clock, take} = setUp();
    server.lease = 403;
    for (let time = 0; time < 5; time++) {
      expect(await take(heldBy('theirs/blue'))).toBe('theirs');
      clock.freeze(10 * LEASE_MS);
    }
  });

  test('is left alone while the server does not tell about the Lease', async () => {
    const {server, take} = setUp();
    server.lease = 500;
    await expect(take(heldBy('theirs/blue'))).rejects.toThrow('answered 500');
    expect(server.patches).toEqual([]);
  });

  test('shares looks at a Lease with others of the same holder', async () => {
    const {server, take} = setUp();
    server.lease = {version: '1', holder: 'pod'};
    for (let object = 0; object < 50; object++) await take(heldBy('theirs/blue'));
    expect(server.reads).toBe(1);
  });
});

describe('what was written as the holder', () => {
  test.each([
    '../..',
    'a/..',
    '/',
    'a/',
    'a/b/c',
    'A/b',
    'a b/c',
    'a%2e/b',
    'a/x\n',
    `a/${'x'.repeat(254)}`,
    `${'x'.repeat(64)}/a`,
  ])('counts as nobody if it names no Lease: %j', async (holder) => {
    const {server, log, take} = setUp();
    server.lease = {version: '1', holder: 'pod'};
    expect(await take(heldBy(holder))).toBe('ours');
    expect(server.reads).toBe(0);
    expect(log.lines.join()).not.toContain(holder);
  });

  test('keeps nobody from taking over from a holder that is silent, however many names there are', async () => {
    const {server, clock, take} = setUp();
    server.lease = {version: '1', holder: 'pod'};
    const claims: string[] = [];
    for (let look = 0; look < 4; look++) {
      claims.push(await take(heldBy('theirs/blue')));
      for (let n = 0; n < 2_000; n++) await take(heldBy(`a-tenant/name-${n}`));
      clock.freeze(LOOK_AGAIN_MS);
    }
    expect(claims).toEqual(['theirs', 'theirs', 'theirs', 'ours']);
  });
});
