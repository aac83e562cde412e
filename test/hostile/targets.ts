import type {Target} from './hostile-call.ts';

export type Api = 'device-api' | 'admin-api';

/** What those who are hostile have: devices that were taken over, or API tokens of viewers. */
export interface Loot {
  readonly devices: readonly {readonly deviceId: string; readonly secret: string}[];
  readonly tokens: readonly string[];
}

const KIB = 1024;

const deviceApi = (host: string, {devices}: Loot): Target => {
  const bearerOf = ({deviceId, secret}: Loot['devices'][number]): string =>
    `Authorization: Bearer ps_${deviceId}.${secret}`;
  return {
    host,
    maxBytes: 512 * KIB,
    maxInflatedBytes: 1024 * KIB,
    get: (random) =>
      random.pick([
        {path: '/v1/time', headers: []},
        {path: '/v1/sync/receipts?after=0', headers: [bearerOf(random.pick(devices))]},
      ]),
    post(random, json) {
      const batchSeq = random.int(1, 60);
      const value = json ?? '1';
      const batch = {state: '{}', records: `[{"s":${batchSeq},"k":"reading","d":{"celsius":20.5}}]`, more: 'false'};
      if (json !== undefined) {
        const [place, text] = random.pick([
          ['state', value],
          ['state', `{"a":${value}}`],
          ['records', value],
          ['records', `[{"s":1,"k":"a","d":${value}}]`],
          ['pull', value],
          ['anything', value],
        ] as const);
        Object.assign(batch, {[place]: text});
      } else if (random.chance(0.4)) {
        const secret = 'A'.repeat(43);
        return {
          path: '/v1/enroll',
          headers: [],
          body: JSON.stringify({
            hardwareId: `hostile-${batchSeq}`,
            secret,
            enrolmentToken: `guess-${random.int(1, 1e9)}`,
          }),
        };
      }
      const members = Object.entries(batch).map(([name, text]) => `"${name}":${text}`);
      return {
        path: '/v1/sync',
        headers: [bearerOf(random.pick(devices))],
        body: `{"epoch":"e1","batchSeq":${batchSeq},"mode":"delta",${members.join(',')}}`,
      };
    },
  };
};

const adminApi = (host: string, {devices, tokens}: Loot): Target => ({
  host,
  maxBytes: 64 * KIB,
  maxInflatedBytes: 64 * KIB,
  get(random) {
    const {deviceId} = random.pick(devices);
    const path = random.pick([
      '/api/v1/devices?limit=50',
      `/api/v1/devices/${deviceId}`,
      `/api/v1/devices/${deviceId}/records?limit=500`,
      '/api/v1/region/summary',
      '/api/v1/openapi.json',
    ]);
    return {path, headers: [`Authorization: Bearer ${random.pick(tokens)}`]};
  },
  post(random, json) {
    const headers = ['Content-Type: application/json'];
    if (random.chance(0.6)) {
      return {
        path: '/api/v1/session',
        headers,
        body: `{"token":${json ?? JSON.stringify(`guess-${random.int(1, 1e9)}`)}}`,
      };
    }
    return {
      path: `/api/v1/devices/${random.pick(devices).deviceId}/sync`,
      headers: [...headers, `Authorization: Bearer ${random.pick(tokens)}`],
      body: `{"syncType":${json ?? '"delta"'}}`,
    };
  },
});

export const targetOf = (api: Api, host: string, loot: Loot): Target =>
  api === 'device-api' ? deviceApi(host, loot) : adminApi(host, loot);
