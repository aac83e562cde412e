/**
 * Calls made of the OpenAPI document, valid and slightly invalid ones for each parameter and body: none is a fault of the server, and every answer is as
 * documented. `make faults` makes 20,000 of them (PISYNC_TEST_GENERATED_CALLS); another seed makes others (PISYNC_TEST_GENERATED_SEED).
 */
import {afterAll, beforeAll, expect, test} from '@jest/globals';
import type {Cache} from '@pisync/core/cache/cache';
import {openTestCache} from '@pisync/core/testing/open-test-cache';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import fc from 'fast-check';
import {z} from 'zod';
import type {DocumentedOperation} from '../testing/documented-answers.ts';
import {type GeneratedCall, callsOf, type Words} from '../testing/generated-call.ts';
import {generatedFilters} from '../testing/generated-filter.ts';
import {seedApiToken, seedDevices, seedSyncs} from '../testing/seed.ts';
import {type CallOptions, startTestApi, type TestApi} from '../testing/test-api.ts';

const SEED = Number(process.env['PISYNC_TEST_GENERATED_SEED'] ?? '1');
const CALLS = Number(process.env['PISYNC_TEST_GENERATED_CALLS'] ?? '2000');
const DEVICES = 24;
const TOKENS = 12;

let region: TestShards;
let cache: Cache;
let api: TestApi;
let admin: string;
/** Who calls, in the words of a failure. */
const callers = new Map<string, CallOptions>();
/** By the first part of the address. */
const ids = new Map<string, readonly string[]>();
const cursors: string[] = [];

beforeAll(async () => {
  region = await createTestShards({shards: 2});
  const devices = await seedDevices(region.shards, DEVICES);
  for (const device of devices.slice(0, 4)) await seedSyncs(region.shards, device, 3, 2);
  cache = await openTestCache();
  api = await startTestApi({
    shards: region.shards,
    cache,
    publish: () => Promise.resolve(),
    deviceHost: 'eu.example.com',
    freshMs: 5_000,
  });
  admin = await seedApiToken(region.shards, 'admin');
  callers.set('an admin', {token: admin});
  for (const role of ['viewer', 'operator', 'auditor'] as const) {
    callers.set(`one who is ${role}`, {token: await seedApiToken(region.shards, role)});
  }
  callers.set('an admin of two groups', {token: await seedApiToken(region.shards, 'admin', ['north', 'south'])});
  callers.set('nobody', {});
  callers.set('one with a token that is none', {token: 'psa_none'});
  ids.set(
    'devices',
    devices.map(({id}) => id),
  );
  for (const [kind, bodyOf] of [
    ['enrolment-tokens', () => ({name: 'one of many', group: 'north'})],
    ['api-tokens', () => ({name: 'one of many', role: 'viewer', groups: ['south']})],
    ['groups', (place: number) => ({name: `one of many, ${place}`, filter: place % 2 === 0 ? null : 'status==late'})],
  ] as const) {
    const made: string[] = [];
    for (let more = 0; more < TOKENS; more++) {
      const answer = await api.call('POST', `/api/v1/${kind}`, {token: admin, body: bodyOf(more)});
      made.push(String(z.object({data: z.object({id: z.union([z.string(), z.int()])})}).parse(answer.body).data.id));
    }
    ids.set(kind, made);
  }
  for (const list of ['devices', 'groups', 'enrolment-tokens', 'audit', `devices/${devices[0]?.id ?? ''}/records`]) {
    const {body} = await api.call('GET', `/api/v1/${list}?limit=1`, {token: admin});
    cursors.push(z.object({nextCursor: z.string()}).parse(body).nextCursor);
  }
}, 60_000);

afterAll(async () => {
  await api.close();
  await cache.close();
  await region.close();
}, 30_000);

const groups = fc.constantFrom('north', 'south', 'default', 'north & "co"');

/** What is there, by the names of parameters and members. */
const words: Words = ({path}: DocumentedOperation, name) => {
  switch (name) {
    case 'id': {
      const known = ids.get(path.split('/')[3] ?? '');
      return known === undefined ? undefined : fc.constantFrom(...known);
    }
    case 'token':
      return fc.constant(admin);
    case 'group':
      return groups;
    case 'groups':
      return fc.array(groups, {minLength: 1, maxLength: 3});
    case 'filter':
      return generatedFilters;
    case 'q':
      return fc.constantFrom('oak', 's', 'hw-0', 'site-', '0', '%', '_', ' oak ');
    case 'sort':
      return fc.constantFrom(
        'id',
        '-id',
        'name',
        '-name',
        'lastSync',
        '-lastSync',
        'lastSeen',
        '-enrolledAt',
        'statusSince',
      );
    case 'fields':
      return fc.constantFrom(
        'name',
        'id,name',
        'state,tags,epoch',
        'expiresAt,revokedAt',
        'name,name',
        'name, state',
        ',',
      );
    case 'cursor':
      return fc.constantFrom(...cursors);
    case 'head':
      return fc.constantFrom(`0:${'0'.repeat(64)}`, `9:${'a'.repeat(64)}`);
    case 'If-Match':
      return fc.constantFrom(
        // Most, because few changes are valid otherwise.
        ...Array.from({length: 8}, () => '*'),
        '"0"',
        '"1"',
        '"1", W/"2.x"',
        'W/"0.abc"',
        '"none of ours"',
        '1',
        '"',
        '"99999999999999"',
      );
    case 'Idempotency-Key':
      return fc.constantFrom('a', 'b', 'c'.repeat(128));
    case 'expiresAt':
      return fc.constantFrom(null, '2999-01-01T00:00:00Z', '2999-01-01T00:00:00+02:00');
    default:
      return undefined;
  }
};

test(
  `${CALLS} calls of seed ${SEED} are answered as documented, and none with a 5xx`,
  async () => {
    const who = fc.oneof(
      {weight: 7, arbitrary: fc.constant('an admin')},
      {weight: 3, arbitrary: fc.constantFrom(...callers.keys())},
    );
    const calls = fc.oneof(
      ...api.operations.map((operation) => fc.tuple(fc.constant(operation), callsOf(operation, words))),
    );
    const answered = new Map<string, Set<number>>(api.operations.map(({operationId}) => [operationId, new Set()]));
    const make = async (
      {operationId}: DocumentedOperation,
      {method, path, headers, body}: GeneratedCall,
      as: string,
    ) => {
      const {status} = await api.call(method, path, {
        ...callers.get(as),
        headers,
        ...(body === undefined ? {} : {body}),
      });
      answered.get(operationId)?.add(status);
      return status;
    };
    await fc.assert(
      fc.asyncProperty(calls, who, async ([operation, call], as) => {
        expect(await make(operation, call, as)).toBeLessThan(500);
      }),
      {
        seed: SEED,
        numRuns: CALLS,
        reporter(run) {
          if (!run.failed) return;
          const [[, call], as] = run.counterexample ?? [[], undefined];
          throw new Error(
            `${String(run.errorInstance)}\nseed ${run.seed}, call ${run.numRuns} of ${CALLS}; the shortest that fails so, by ${String(as)}: ${JSON.stringify(call)}`,
          );
        },
      },
    );
    // Calls that are all refused would say little.
    const missing = api.operations.flatMap(({operationId, parameters, requestBody, responses}) => {
      const seen = answered.get(operationId) ?? new Set();
      const success =
        Object.keys(responses)
          .map(Number)
          .find((status) => status < 300) ?? 0;
      const takesSomething = parameters.some(({in: where}) => where !== 'header') || requestBody !== undefined;
      const expected = [success, ...(takesSomething ? [400] : [])];
      return expected.filter((status) => !seen.has(status)).map((status) => `${operationId}: no ${status}`);
    });
    expect(missing).toEqual([]);
  },
  60_000 + CALLS * 200,
);
