import {afterAll, beforeAll, describe, expect, test} from '@jest/globals';
import {createDeviceKeys} from '@pisync/core/devices/device-keys';
import {enrol} from '@pisync/core/devices/enrolment';
import {createTestShards, type TestShards} from '@pisync/core/testing/test-shards';
import {z} from 'zod';
import type {CacheAccess} from './caching/read-through.ts';
import {type SeededDevice, seedApiToken, seedDevices, seedSyncs} from './testing/seed.ts';
import {startTestApi, type TestApi} from './testing/test-api.ts';
import {openWithoutShard1} from './testing/without-shard.ts';

const NO_CACHE: CacheAccess = {use: () => Promise.resolve(undefined)};

const pageSchema = z.object({
  data: z.array(z.looseObject({id: z.string()})),
  hasNextPage: z.boolean(),
  nextCursor: z.string().nullable(),
  partial: z.array(z.string()).optional(),
});

let region: TestShards;
let api: TestApi;
let devices: readonly SeededDevice[];
let viewer: string;

beforeAll(async () => {
  region = await createTestShards({shards: 3});
  devices = await seedDevices(region.shards, 60);
  viewer = await seedApiToken(region.shards, 'viewer');
  api = await startTestApi({shards: region.shards, cache: NO_CACHE});
}, 60_000);

afterAll(async () => {
  await api.close();
  await region.close();
}, 30_000);

const readAll = async (from: TestApi, path: string): Promise<{readonly ids: string[]; readonly pages: number}> => {
  const ids: string[] = [];
  let cursor: string | null = null;
  for (let pages = 1; ; pages++) {
    const suffix: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await from.call('GET', `${path}${suffix}`, {token: viewer});
    expect({path, status: answer.status}).toEqual({path, status: 200});
    const page = pageSchema.parse(answer.body);
    ids.push(...page.data.map(({id}) => id));
    if (!page.hasNextPage) return {ids, pages};
    cursor = page.nextCursor;
  }
};

const pointersOf = (body: unknown): string[] =>
  z
    .object({errors: z.array(z.object({pointer: z.string()}))})
    .parse(body)
    .errors.map(({pointer}) => pointer);

describe('the device list', () => {
  test.each([
    ['', () => true],
    ['status=late', (device: SeededDevice) => device.status === 'late'],
    ['group=north', (device: SeededDevice) => device.group === 'north'],
    [
      `filter=${encodeURIComponent('status==on_time;group=="north & \\"co\\""')}`,
      (device: SeededDevice) => device.status === 'on_time' && device.group === 'north & "co"',
    ],
    [`filter=${encodeURIComponent('shard==1')}`, (device: SeededDevice) => device.shard === 1],
    [`filter=${encodeURIComponent('(status==late,name==site-elm*);group!=north;lastSync>-P1D')}`, () => false],
    [
      `filter=${encodeURIComponent('status=in=(late,silent),shard==2;group!=nobody;tags.site!=none')}`,
      (device: SeededDevice) => device.status === 'late' || device.status === 'silent' || device.shard === 2,
    ],
    ['group=nobody', () => false],
  ])('visits every device once, in order, with the filter "%s"', async (filter, matches) => {
    const expected = devices
      .filter(matches)
      .map(({id}) => id)
      .sort();
    for (const limit of [1, 7, 500]) {
      const {ids, pages} = await readAll(api, `/api/v1/devices?limit=${limit}&${filter}`);
      expect(ids).toEqual(expected);
      expect(pages).toBe(Math.max(1, Math.ceil(expected.length / limit)));
    }
  });

  test('reads only the fields that were asked for', async () => {
    const {body} = await api.call('GET', '/api/v1/devices?limit=1&fields=name,shard,state', {token: viewer});
    expect(Object.keys(pageSchema.parse(body).data[0] ?? {}).sort()).toEqual(['id', 'name', 'shard', 'state']);
  });

  test('refuses an unknown field and lists the known ones', async () => {
    const answer = await api.call('GET', '/api/v1/devices?fields=name,secretHash', {token: viewer});
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({
      detail: expect.stringMatching(/"secretHash"; known are id, name, group/) as unknown,
    });
    expect(pointersOf(answer.body)).toEqual(['/fields']);
  });

  test.each([
    ['limit=0', '/limit'],
    ['limit=501', '/limit'],
    ['limit=x', '/limit'],
    ['stauts=late', '/stauts'],
    ['status=asleep', '/status'],
    ['filter=name!=x', '/filter'],
    ['filter=name==x;;', '/filter'],
    ['limit=1&limit=2', '/limit'],
  ])('refuses ?%s with a pointer', async (query, pointer) => {
    const answer = await api.call('GET', `/api/v1/devices?${query}`, {token: viewer});
    expect(answer.status).toBe(400);
    expect(pointersOf(answer.body)).toEqual([pointer]);
  });

  test('refuses a cursor that was forged, or comes from another filter or list', async () => {
    const first = pageSchema.parse((await api.call('GET', '/api/v1/devices?limit=5', {token: viewer})).body);
    const cursor = first.nextCursor ?? '';
    const moved = Buffer.from(JSON.stringify([['ffffffff-ffff-ffff-ffff-ffffffffffff', [0, 1, 2]]])).toString(
      'base64url',
    );
    for (const query of [
      `cursor=${moved}`,
      `cursor=${cursor.slice(0, -4)}`,
      `cursor=${cursor.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}`,
      `cursor=x`,
      `cursor=${cursor}&status=late`,
      `cursor=${cursor}&group=north`,
    ]) {
      const answer = await api.call('GET', `/api/v1/devices?limit=5&${query}`, {token: viewer});
      expect({query, status: answer.status, pointers: pointersOf(answer.body)}).toEqual({
        query,
        status: 400,
        pointers: ['/cursor'],
      });
    }
    const device = devices[0]?.id ?? '';
    expect((await api.call('GET', `/api/v1/devices/${device}/syncs?cursor=${cursor}`, {token: viewer})).status).toBe(
      400,
    );
    expect((await api.call('GET', `/api/v1/devices?limit=9&cursor=${cursor}`, {token: viewer})).status).toBe(200);
  });
});

describe('a shard that is down', () => {
  test('is named in the page and in the counts, and its devices are read on from where they were once it is back', async () => {
    const shards = await openWithoutShard1(region);
    const impaired = await startTestApi({shards, cache: NO_CACHE});
    try {
      const {body} = await impaired.call('GET', '/api/v1/devices?limit=500', {token: viewer});
      const page = pageSchema.parse(body);
      const others = devices.filter(({shard}) => shard !== 1).map(({id}) => id);
      expect(page.data.map(({id}) => id)).toEqual([...others].sort());
      expect(page).toMatchObject({partial: ['shard-1'], hasNextPage: false});

      const later = await api.call('GET', `/api/v1/devices?limit=500&cursor=${page.nextCursor ?? ''}`, {token: viewer});
      const missed = devices.filter(({shard}) => shard === 1).map(({id}) => id);
      expect(pageSchema.parse(later.body).data.map(({id}) => id)).toEqual([...missed].sort());

      const summary = await impaired.call('GET', '/api/v1/region/summary', {token: viewer});
      expect(summary.body).toMatchObject({partial: ['shard-1'], devices: others.length});
      const gone = await impaired.call('GET', `/api/v1/devices/${missed[0] ?? ''}`, {token: viewer});
      expect(gone.status).toBe(503);
    } finally {
      await impaired.close();
      await shards.close();
    }
  });
});

describe('one device', () => {
  test('is shown whole, with an ETag that spares the second reading', async () => {
    const device = devices[1];
    if (device === undefined) throw new Error('no devices were seeded');
    await seedSyncs(region.shards, device, 3, 2);
    const answer = await api.call('GET', `/api/v1/devices/${device.id}`, {token: viewer});
    expect(answer.body).toMatchObject({
      data: {
        id: device.id,
        group: device.group,
        shard: device.shard,
        appliedThrough: 3,
        recordsTotal: 6,
        epoch: 'e1',
        state: {v: 57},
      },
    });
    expect(answer.headers.get('etag')).toMatch(/^W\/"\d+\.[\w-]+"$/);
  });

  test('shows its syncs and records newest first, each once over all pages', async () => {
    const device = devices[2];
    if (device === undefined) throw new Error('no devices were seeded');
    await seedSyncs(region.shards, device, 5, 3);
    const walk = async (list: string, of: (row: Record<string, unknown>) => unknown): Promise<unknown[]> => {
      const found: unknown[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const suffix: string = cursor === '' ? '' : `&cursor=${cursor}`;
        const {body} = await api.call('GET', `/api/v1/devices/${device.id}/${list}?limit=2${suffix}`, {token: viewer});
        const page = z
          .object({data: z.array(z.record(z.string(), z.unknown())), nextCursor: z.string().nullable()})
          .parse(body);
        found.push(...page.data.map(of));
        cursor = page.nextCursor;
      }
      return found;
    };
    expect(await walk('syncs', (row) => row['batchSeq'])).toEqual([5, 4, 3, 2, 1]);
    expect(await walk('records', (row) => row['seq'])).toEqual(Array.from({length: 15}, (_, index) => 15 - index));
    // A device may give several records one number.
    await region.shards
      .pool(device.shard, 'job')
      .query('update record set seq = 7 where device_key = $1', [device.deviceKey]);
    expect(await walk('records', (row) => [row['seq'], row['batchSeq'], row['ordinal']])).toEqual(
      Array.from({length: 15}, (_, index) => [7, 5 - Math.floor(index / 3), 2 - (index % 3)]),
    );
  });

  test('that nobody enrolled is 404 everywhere, and an id that is none is 400', async () => {
    const unknown = '00000000-0000-4000-8000-000000000000';
    for (const path of ['', '/syncs', '/records', '/commands']) {
      expect((await api.call('GET', `/api/v1/devices/${unknown}${path}`, {token: viewer})).status).toBe(404);
      expect((await api.call('GET', `/api/v1/devices/nonsense${path}`, {token: viewer})).status).toBe(400);
    }
  });
});

describe('a device that more than one machine claims to be', () => {
  const groupIdOf = async ({deviceKey, shard}: SeededDevice): Promise<number> => {
    const {rows} = await region.shards
      .pool(shard, 'job')
      .query<{groupId: number}>('select group_id as "groupId" from device_status where device_key = $1', [deviceKey]);
    return rows[0]?.groupId ?? -1;
  };
  /** A machine that says that it is the device. */
  const claim = async ({id}: SeededDevice, secret: number, groupId: number): Promise<string> => {
    const request = {deviceId: id, hardwareId: 'one-serial', secretHash: Buffer.alloc(32, secret), groupId};
    return (await enrol(region.shards, createDeviceKeys(region.shards), request)).kind;
  };
  const shown = async ({id}: SeededDevice): Promise<Readonly<Record<string, unknown>>> => {
    const {body} = await api.call('GET', `/api/v1/devices/${id}`, {token: viewer});
    return z.object({data: z.record(z.string(), z.unknown())}).parse(body).data;
  };
  /** In a day, or a little earlier. */
  const expectADay = (until: unknown): void => {
    const leftMs = Date.parse(z.string().parse(until)) - Date.now();
    expect(leftMs).toBeGreaterThan(23 * 3_600_000);
    expect(leftMs).toBeLessThan(24.1 * 3_600_000);
  };

  test('is shown as disputed for a day, by itself and in lists, and others are not', async () => {
    const [ofOneGroup, ofTwoGroups] = [devices[4], devices[5]];
    if (ofOneGroup === undefined || ofTwoGroups === undefined) throw new Error('no devices were seeded');
    const groupId = await groupIdOf(ofOneGroup);
    for (const secret of [1, 2, 3]) expect(await claim(ofOneGroup, secret, groupId)).toBe('replaced');
    // That is a card which somebody sets up.
    expect(await shown(ofOneGroup)).toMatchObject({
      reEnrolments: 3,
      reEnrolledAt: expect.any(String),
      disputedUntil: null,
    });
    expect(await claim(ofOneGroup, 4, groupId)).toBe('replaced');
    expect(await claim(ofTwoGroups, 1, (await groupIdOf(ofTwoGroups)) + 1000)).toBe('refused');
    const [taken, refused] = [await shown(ofOneGroup), await shown(ofTwoGroups)];
    expect(taken).toMatchObject({reEnrolments: 4});
    expect(refused).toMatchObject({reEnrolments: 0, reEnrolledAt: null});
    for (const {disputedUntil} of [taken, refused]) expectADay(disputedUntil);

    const list = await api.call('GET', '/api/v1/devices?limit=500&fields=disputedUntil', {token: viewer});
    const listed = pageSchema.parse(list.body).data.filter((row) => row['disputedUntil'] !== null);
    expect(listed.map(({id}) => id).sort()).toEqual([ofOneGroup.id, ofTwoGroups.id].sort());

    await region.shards
      .pool(ofOneGroup.shard, 'job')
      .query(`update device set disputed_until = now() - interval '1 s' where device_key = $1`, [ofOneGroup.deviceKey]);
    expect(await shown(ofOneGroup)).toMatchObject({reEnrolments: 4, disputedUntil: null});
  });
});

describe('what devices made large', () => {
  const bytesOf = (body: unknown): number => JSON.stringify(body).length;

  test('is read in pages of half a MiB, and every record is in one of them', async () => {
    const device = devices[3];
    if (device === undefined) throw new Error('no devices were seeded');
    await seedSyncs(region.shards, device, 1, 40);
    await region.shards.pool(device.shard, 'job').query(
      `update record set data = case when seq = 30 then null when seq = 20 then to_jsonb(repeat('x', 3000000))
                                  else to_jsonb(repeat('x', 120000)) end where device_key = $1`,
      [device.deviceKey],
    );
    const found: number[] = [];
    let cursor: string | null = '';
    for (let pages = 0; cursor !== null && pages < 40; pages++) {
      const suffix: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const path = `/api/v1/devices/${device.id}/records?limit=500${suffix}`;
      const {body} = await api.call('GET', path, {token: viewer});
      const page = z.object({data: z.array(z.object({seq: z.int()})), nextCursor: z.string().nullable()}).parse(body);
      if (page.data.length > 1) expect(bytesOf(body)).toBeLessThan(0.6 * 1024 * 1024);
      found.push(...page.data.map(({seq}) => seq));
      cursor = page.nextCursor;
    }
    expect(found).toEqual(Array.from({length: 40}, (_, index) => 40 - index));
  });

  test('makes a page of states short, and every device is in one of them', async () => {
    for (const shard of region.shards.ids()) {
      await region.shards.pool(shard, 'job')
        .query(`insert into device_shadow (device_key, state) select device_key, jsonb_build_object('text', repeat('x', 60000)) from device
                on conflict (device_key) do update set state = excluded.state`);
    }
    const {body} = await api.call('GET', '/api/v1/devices?limit=500&fields=state', {token: viewer});
    expect(bytesOf(body)).toBeLessThan(0.6 * 1024 * 1024);
    const {ids, pages} = await readAll(api, '/api/v1/devices?limit=500&fields=state');
    expect(ids).toEqual(devices.map(({id}) => id).sort());
    expect(pages).toBeGreaterThan(1);
    expect(pages).toBeLessThan(40);
  });
});

describe('the region summary', () => {
  test('counts every device once, by status, by group and by shard', async () => {
    const {body} = await api.call('GET', '/api/v1/region/summary', {token: viewer});
    const summary = z
      .object({
        devices: z.int(),
        byStatus: z.record(z.string(), z.int()),
        byGroup: z.array(z.object({group: z.string(), devices: z.int()})),
        byShard: z.array(z.object({shard: z.int(), devices: z.int()})),
      })
      .parse(body);
    const count = <K extends keyof SeededDevice>(key: K, value: SeededDevice[K]): number =>
      devices.filter((device) => device[key] === value).length;
    expect(summary.devices).toBe(devices.length);
    expect(summary.byStatus['late']).toBe(count('status', 'late'));
    for (const {group, devices: inGroup} of summary.byGroup) expect(inGroup).toBe(count('group', group));
    for (const {shard, devices: inShard} of summary.byShard) expect(inShard).toBe(count('shard', shard));
  });
});

describe('the OpenAPI document', () => {
  test('has every operation, and each answers as it says', async () => {
    const id = devices[0]?.id ?? '';
    const admin = await seedApiToken(region.shards, 'admin');
    const bodies: Readonly<Record<string, unknown>> = {
      session: {token: admin},
      sync: {syncType: 'full'},
      'enrolment-tokens': {name: 'n', group: 'default'},
      'api-tokens': {name: 'n', role: 'viewer'},
      groups: {name: 'made'},
    };
    /** Ids of what was made, because the operations come in the order of a life. */
    const made = new Map<string, string>();
    const whole = await startTestApi({shards: region.shards, cache: NO_CACHE, publish: () => Promise.resolve()});
    try {
      expect(whole.documented.length).toBeGreaterThan(0);
      for (const operation of whole.documented) {
        const [method = '', path = ''] = operation.split(' ');
        const [what = ''] = /session|sync|groups|\w+-tokens/.exec(path) ?? [];
        const isMade = method === 'post' && !path.includes('{id}');
        const answer = await whole.call(method.toUpperCase(), path.replace('{id}', made.get(what) ?? id), {
          token: admin,
          ...(method === 'post' ? {body: bodies[what]} : {}),
          ...(method === 'patch' ? {body: {name: 'n'}, headers: {'if-match': '*'}} : {}),
        });
        if (isMade)
          made.set(
            what,
            String(
              z.looseObject({data: z.object({id: z.union([z.string(), z.int()])}).optional()}).parse(answer.body).data
                ?.id,
            ),
          );
        expect({operation, ok: answer.status < 300}).toEqual({operation, ok: true});
      }
      expect([...whole.seen].sort()).toEqual([...whole.documented].sort());
    } finally {
      await whole.close();
    }
  });
});
