/** Addresses, headers and bodies that are too large, too deep or too many, or just not. */
import {gzipSync} from 'node:zlib';
import {get, head, type HostileKind, post, send, type Target} from '../hostile-call.ts';
import type {Random} from '../random.ts';

const PASSES = {mayPass: true} as const;
const GZIP = 'Content-Encoding: gzip';

/** With this in the body, in whatever coding the API takes it. */
const withJson = (random: Random, target: Target, json: string) => {
  const {body, ...request} = target.post(random, json);
  const step =
    body.length <= target.maxBytes && random.chance(0.5)
      ? post(target, request, body)
      : post(target, request, gzipSync(body, {level: 1}), [GZIP]);
  return {steps: [step]};
};

/** A JSON text of about so many bytes, of one part again and again. */
const listOf = (bytes: number, part: string): string =>
  `[${new Array<string>(Math.max(1, Math.floor(bytes / (part.length + 1)))).fill(part).join(',')}]`;

const objectOf = (bytes: number, keyOf: (n: number) => string): string => {
  const members: string[] = [];
  for (let length = 2, n = 0; length < bytes; n++) {
    const member = `${JSON.stringify(keyOf(n))}:1`;
    members.push(member);
    length += member.length + 1;
  }
  return `{${members.join(',')}}`;
};

const nested = (depth: number, open: string, close: string): string => `${open.repeat(depth)}1${close.repeat(depth)}`;

const room = ({maxInflatedBytes}: Target): number => maxInflatedBytes - 2_048;

export const SIZES: readonly HostileKind[] = [
  {
    name: 'a long path',
    make: (random, target) => {
      const {headers} = target.get(random);
      const length = random.pick([1_000, 7_000, 30_000, 200_000]);
      return {
        steps: [
          get(target, {
            path: `/${random.pick(['a', '%2e', 'a/', '%', '//'])}`.repeat(length).slice(0, length),
            headers,
          }),
        ],
      };
    },
  },
  {
    name: 'escapes in the path that mean nothing, or something else',
    make: (random, target) => {
      const {headers} = target.get(random);
      const path = random.pick([
        '/%',
        '/%00',
        '/%zz',
        '/%c0%ae%c0%ae/',
        '/%ff%fe',
        '/..%2f..%2fetc%2fpasswd',
        '/v1%2fsync',
        '/api/v1/devices/%2e%2e',
        '/;/',
        '/%252e',
        '/\xff',
      ]);
      return {steps: [get(target, {path, headers})]};
    },
  },
  {
    name: 'a long query',
    make: (random, target) => {
      const {path, headers} = target.get(random);
      const query = random.pick([
        `nonce=${'n'.repeat(random.int(65, 7_000))}`,
        'a=1&'.repeat(random.int(100, 1_700)),
        `${'a[b]'.repeat(random.int(10, 1_500))}=1`,
        '&'.repeat(7_000),
        '%'.repeat(5_000),
        `__proto__=1&constructor=2&${'x=%00&'.repeat(900)}`,
        `limit=1&limit=2`,
        'q='.padEnd(60_000, 'q'),
      ]);
      return {steps: [get(target, {path: `${path}${path.includes('?') ? '&' : '?'}${query}`, headers})]};
    },
    expects: PASSES,
  },
  {
    name: 'many headers',
    make: (random, target) => {
      const lines = Array.from({length: random.pick([60, 65, 500, 3_000])}, (_, n) => `X-${n}: ${n}`);
      return {steps: [send(head('GET', target, target.get(random), [...lines, 'Connection: close']))]};
    },
    expects: PASSES,
  },
  {
    name: 'a long header',
    make: (random, target) => {
      const name = random.pick([
        'X-Long',
        'Cookie',
        'Accept-Encoding',
        'If-None-Match',
        'Traceparent',
        'X-Request-Id',
        'Content-Type',
        'x'.repeat(3_000),
      ]);
      const part = random.pick(['a', 'a,', '"a", ', 'a=b; ', ';q=0.1,', '\xff', '*']);
      const value = part.repeat(40_000).slice(0, random.pick([500, 6_000, 9_000, 33_000]));
      return {steps: [get(target, target.get(random), [`${name}: ${value}`])]};
    },
    expects: PASSES,
  },
  {
    name: 'credentials of nobody',
    make: (random, target) => {
      const {path} = target.get(random);
      const secret = random.bytes(32).toString('base64url');
      const hex = random.bytes(16).toString('hex');
      const id = [
        hex.slice(0, 8),
        hex.slice(8, 12),
        `5${hex.slice(13, 16)}`,
        `a${hex.slice(17, 20)}`,
        hex.slice(20),
      ].join('-');
      const authorization = random.pick([
        `Bearer ps_${id}.${secret}`,
        `Bearer ${secret}`,
        'Bearer ',
        `Bearer ${'a'.repeat(6_000)}`,
        `Basic ${secret}`,
        `Bearer ps_${id}.`,
        `Bearer ps_${'.'.repeat(1_000)}`,
        'Bearer \xff',
      ]);
      return {steps: [get(target, {path, headers: [`Authorization: ${authorization}`]})]};
    },
    // Some addresses are for anybody.
    expects: PASSES,
  },
  {
    name: 'a body as large as may be, and one byte more',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const [limit, wrap] = random.pick([
        [target.maxBytes, (text: string): readonly [string | Buffer, readonly string[]] => [text, []]],
        [
          target.maxInflatedBytes,
          (text: string): readonly [string | Buffer, readonly string[]] => [gzipSync(text, {level: 1}), [GZIP]],
        ],
      ] as const);
      const [bytes, lines] = wrap(body.padEnd(limit + random.int(0, 1)));
      return {steps: [post(target, request, bytes, lines)]};
    },
    expects: PASSES,
  },
  {
    name: 'JSON that is deep',
    make: (random, target) => {
      const [open, close] = random.pick([
        ['[', ']'],
        ['{"a":', '}'],
        ['[{"a":', '}]'],
      ] as const);
      const depth = random.pick([31, 33, 1_000, Math.floor(room(target) / (open.length + close.length + 1))]);
      return withJson(random, target, random.chance(0.8) ? nested(depth, open, close) : open.repeat(depth));
    },
    expects: PASSES,
  },
  {
    name: 'JSON of many keys',
    make: (random, target) => {
      const keyOf = random.pick<(n: number) => string>([
        (n) => n.toString(36),
        // Read as places of an array, whose hash is the number itself in some engines.
        (n) => String(n * 65_536),
        (n) => `__proto__${n}`,
        (n) => (n % 2 === 0 ? '__proto__' : 'constructor'),
        () => 'a',
      ]);
      return withJson(random, target, objectOf(room(target) / random.pick([1, 4, 64]), keyOf));
    },
    expects: PASSES,
  },
  {
    name: 'JSON of many small values',
    make: (random, target) => {
      const part = random.pick([
        '[]',
        '{}',
        '0',
        '""',
        'null',
        '-0',
        '1e9',
        '[[]]',
        '{"":{}}',
        '"\\u0000"',
        '{"s":1,"k":"a","d":1}',
        '{"s":-1}',
      ]);
      const bytes = room(target) / random.pick([1, 4, 64]);
      return withJson(random, target, listOf(bytes, part));
    },
    expects: PASSES,
  },
  {
    name: 'JSON of numbers and texts that no database holds',
    make: (random, target) => {
      const part = random.pick([
        '1e400',
        '9007199254740993',
        '-1e-400',
        '1'.repeat(5_000),
        `0.${'1'.repeat(5_000)}`,
        '1e308',
        '"\\ud800"',
        '"a\\u0000b"',
        `"${'\\\\'.repeat(500)}"`,
        '"1.1e9 1.1e9"',
        `"${' 1'.repeat(500)}"`,
      ]);
      const bytes = room(target) / random.pick([1, 16, 256]);
      return withJson(random, target, listOf(bytes, part));
    },
    expects: PASSES,
  },
  {
    name: 'what is no JSON',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const bytes = random.pick([
        Buffer.from(''),
        Buffer.from('null'),
        Buffer.from('[]'),
        Buffer.from('"text"'),
        Buffer.from('1'),
        Buffer.from(body.slice(0, -1)),
        Buffer.from(`${body}${body}`),
        Buffer.from(`\ufeff${body}`),
        Buffer.from(body, 'utf16le'),
        Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff, 0xc0, 0x80]), Buffer.from('"}')]),
        Buffer.from(`{"a":${'1'.repeat(60_000)}`),
        Buffer.from(`{"a":"${'\\u00'.repeat(10_000)}`),
        random.bytes(random.int(1, 3_000)),
      ]);
      return {steps: [post(target, request, bytes)]};
    },
  },
];
