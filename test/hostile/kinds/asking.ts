/** Lists that are asked for in ways that no page asks. */
import {get, type HostileKind} from '../hostile-call.ts';
import type {Random} from '../random.ts';

const PASSES = {mayPass: true} as const;

/** Each is one parameter of a list of devices. */
const asks = (name: string, value: (random: Random) => string): HostileKind => ({
  name: `a list by ${name}`,
  make: (random, target) => {
    const {headers} = target.get(random);
    return {steps: [get(target, {path: `/api/v1/devices?${value(random)}`, headers})]};
  },
  expects: PASSES,
});

const encoded =
  (name: string, texts: readonly string[]) =>
  (random: Random): string =>
    `${name}=${encodeURIComponent(random.pick(texts))}`;

export const ASKING: readonly HostileKind[] = [
  asks(
    'a filter that is none',
    encoded('filter', [
      'status==late;'.repeat(77),
      'group=='.repeat(140),
      `group=="${'\\\\'.repeat(480)}`,
      `group=="${'\\"'.repeat(490)}"`,
      ' '.repeat(1_000),
      `${' '.repeat(900)}status`,
      'status==late;status==silent',
      'status=in=(late,silent)',
      `group=="' or 1=1 --"`,
      'group=="\\ud800"',
      'group=="a\\u0000"',
      'group=="a\u0000"',
      'shard==-1',
      'shard==99',
      'constructor==1',
      '__proto__==1',
      'x'.repeat(2_500),
    ]),
  ),
  asks(
    'a cursor that is none',
    encoded('cursor', [
      '',
      'e30.AAAA',
      '.',
      'a'.repeat(6_000),
      'a'.repeat(2_500) + '.',
      '\u0000',
      'W10.W10',
      '..',
      '%',
    ]),
  ),
  asks(
    'a limit that is none',
    encoded('limit', ['0', '-1', '501', '1e3', '0x10', '9'.repeat(400), '', '１', '1.0', 'NaN']),
  ),
  asks(
    'fields that are none',
    encoded('fields', ['', ',', 'id,id', 'constructor', 'state,'.repeat(400), '*', 'id,secretHash', ','.repeat(2_000)]),
  ),
  asks('the longest pages', () => 'limit=500&fields=id,name,state,tags,status'),
  {
    name: 'a history that is none',
    make: (random, target) => {
      const {headers} = target.get(random);
      const id = random.pick([
        '0',
        '..',
        '00000000-0000-5000-8000-000000000000',
        'a'.repeat(3_000),
        '%00',
        "' or 1=1",
        '*',
      ]);
      return {
        steps: [
          get(target, {
            path: `/api/v1/devices/${id}/${random.pick(['records', 'syncs', 'commands', 'none', ''])}`,
            headers,
          }),
        ],
      };
    },
  },
  {
    name: 'a session that is none',
    make: (random, target) => {
      const cookie = random.pick([
        'pisync_session_test=..',
        `pisync_session_test=${'a'.repeat(43)}`,
        `pisync_session_test=${random.bytes(32).toString('base64url')}`,
        'a=b; '.repeat(3_000),
        '=;=;=',
        'pisync_session_test='.repeat(200),
        '\xff',
      ]);
      return {steps: [get(target, {path: '/api/v1/devices', headers: [`Cookie: ${cookie}`]})]};
    },
  },
];
