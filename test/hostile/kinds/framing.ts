/** Requests whose beginning, end or length is not what it seems. */
import {get, head, type HostileKind, send} from '../hostile-call.ts';

const CHUNKED = 'Transfer-Encoding: chunked';
const chunk = (body: string): string => `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
/** Hidden in another request, where nobody should find it. */
const hidden = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\nX-Ignore: x`;

/** Answered as what they are once they are read; the rest of the connection is not. */
const TAKEN = {mayPass: true, mostAnswers: 2} as const;

const LENGTHS = ['-1', '+5', '0x10', '5, 6', '1e3', '99999999999999999999', '5 5', '', 'five', '5;a=b'] as const;
const CODINGS = [
  'xchunked',
  'chunked, identity',
  'identity',
  'chunked, gzip',
  'gzip',
  'chunked;q=1',
  '\x0bchunked',
  'chunked\x00',
] as const;
const CHUNK_SIZES = ['zz', '-1', '0x5', 'fffffffffffffffff', '5 ', ' 5', '5;\x00', '', '1_0'] as const;

export const FRAMING: readonly HostileKind[] = [
  {
    name: 'a chunk size that is none',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {
        steps: [send(head('POST', target, request, [CHUNKED]), `${random.pick(CHUNK_SIZES)}\r\n${body}\r\n0\r\n\r\n`)],
      };
    },
    // Some are read as what they resemble.
    expects: {mayPass: true},
  },
  {
    name: 'a chunk that is longer than it says',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {steps: [send(head('POST', target, request, [CHUNKED]), `3\r\n${body}\r\n0\r\n\r\n`)]};
    },
  },
  {
    name: 'a chunk extension without end',
    make: (random, target) => ({
      steps: [
        send(head('POST', target, target.post(random), [CHUNKED]), `5;a=${'b'.repeat(random.int(17_000, 60_000))}`),
      ],
    }),
  },
  {
    name: 'trailers without end',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const trailers = `X-Trailer: ${'t'.repeat(60)}\r\n`.repeat(random.int(600, 2_000));
      return {steps: [send(head('POST', target, request, [CHUNKED]), `${chunk(body)}0\r\n${trailers}\r\n`)]};
    },
  },
  {
    name: 'a chunked body that stops half-way, and the connection ends',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {steps: [send(head('POST', target, request, [CHUNKED]), chunk(body)), {do: 'end'}]};
    },
  },
  {
    name: 'a body that is longer than its length',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const length = random.int(0, body.length - 1);
      return {steps: [send(head('POST', target, request, [`Content-Length: ${length}`]), body)]};
    },
    expects: TAKEN,
  },
  {
    name: 'a body that is shorter than its length, and the connection ends',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {
        steps: [
          send(head('POST', target, request, [`Content-Length: ${body.length + random.int(1, 1_000)}`]), body),
          {do: 'end'},
        ],
      };
    },
  },
  {
    name: 'a length that is none',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {steps: [send(head('POST', target, request, [`Content-Length: ${random.pick(LENGTHS)}`]), body)]};
    },
  },
  {
    name: 'two lengths',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const lengths = [`Content-Length: ${body.length}`, `Content-Length: ${random.int(0, 3 * body.length)}`];
      return {steps: [send(head('POST', target, request, random.chance(0.5) ? lengths : lengths.toReversed()), body)]};
    },
  },
  {
    name: 'a length and chunks, and a request hidden behind them',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const inner = `${chunk(body)}0\r\n\r\n${hidden(target.host)}`;
      const lines = [`Content-Length: ${inner.length}`, CHUNKED];
      return {steps: [send(head('POST', target, request, random.chance(0.5) ? lines : lines.toReversed()), inner)]};
    },
  },
  {
    name: 'a transfer coding that others may read otherwise, and a hidden request',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const lines = [`Transfer-Encoding: ${random.pick(CODINGS)}`, ...(random.chance(0.5) ? [CHUNKED] : [])];
      return {
        steps: [send(head('POST', target, request, lines), `${chunk(body)}0\r\n\r\n${hidden(target.host)}\r\n\r\n`)],
      };
    },
    expects: {mayBeSilent: true},
  },
  {
    name: 'a header that hides a transfer coding',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const line = random.pick([
        'Transfer-Encoding : chunked',
        'Transfer_Encoding: chunked',
        'X: y\nTransfer-Encoding: chunked',
        'X: y\rTransfer-Encoding: chunked',
        'X: y\r\n Transfer-Encoding: chunked',
        'Content-Length : 0',
        '\x00Content-Length: 0',
      ]);
      return {steps: [send(head('POST', target, request, [line, `Content-Length: ${body.length}`]), body)]};
    },
    expects: {mayPass: true},
  },
  {
    name: 'a request hidden in the body of a GET',
    make: (random, target) => {
      const inner = `${hidden(target.host)}\r\n\r\n`;
      return {steps: [send(head('GET', target, target.get(random), [`Content-Length: ${inner.length}`]), inner)]};
    },
    expects: {mayPass: true},
  },
  {
    name: 'many requests at once',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const one = random.chance(0.5)
        ? head('GET', target, target.get(random))
        : `${head('POST', target, request, [`Content-Length: ${body.length}`])}${body}`;
      return {steps: [send(one.repeat(random.int(2, 100)))]};
    },
    expects: TAKEN,
  },
  {
    name: 'lines that end as they should not',
    make: (random, target) => {
      const end = random.pick(['\n', '\r', '\n\r', '\r\r\n', '\x0b\n']);
      return {steps: [send(head('GET', target, target.get(random)).replaceAll('\r\n', end)), {do: 'end'}]};
    },
    expects: {mayPass: true, mayBeSilent: true},
  },
  {
    name: 'a request line that is none',
    make: (random, target) => {
      const line = random.pick([
        'GET /',
        'GET  /  HTTP/1.1',
        'GET / HTTP/3.7',
        'GET / http/1.1',
        'GET /\x00 HTTP/1.1',
        'G\x00T / HTTP/1.1',
        'get / HTTP/1.1',
        `${'A'.repeat(random.int(20, 9_000))} / HTTP/1.1`,
        'PRI * HTTP/2.0\r\n\r\nSM',
        'GET / HTTP/1.1 extra',
        ' GET / HTTP/1.1',
        'GET',
      ]);
      return {steps: [send(`${line}\r\nHost: ${target.host}\r\n\r\n`), {do: 'end'}]};
    },
    // Some are read as what they resemble.
    expects: {mayPass: true},
  },
  {
    name: 'what is no HTTP',
    make: (random) => ({
      steps: [
        send(
          random.pick([
            random.bytes(random.int(1, 2_000)),
            // The beginning of a TLS handshake.
            Buffer.from('16030100c8010000c40303', 'hex'),
            Buffer.from('\x00\x00\x00\x08\x04\xd2\x16\x2f', 'latin1'),
            Buffer.from('*1\r\n$4\r\nPING\r\n', 'latin1'),
            Buffer.from('\r\n'.repeat(5_000), 'latin1'),
          ]),
        ),
        {do: 'end'},
      ],
    }),
    expects: {mayBeSilent: true},
  },
  {
    name: 'a method that nobody knows',
    make: (random, target) => {
      const method = random.pick([
        'TRACE',
        'CONNECT',
        'PROPFIND',
        'OPTIONS',
        'PATCH',
        'PUT',
        'DELETE',
        'QUERY',
        'PURGE',
      ]);
      return {steps: [send(head(method, target, target.get(random), ['Connection: close']))]};
    },
  },
  {
    name: 'an upgrade',
    make: (random, target) => {
      const lines = random.pick([
        [
          'Connection: Upgrade',
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
        ],
        ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
      ]);
      return {steps: [send(head('GET', target, target.get(random), lines))]};
    },
    expects: {mayPass: true},
  },
  {
    name: 'no host, or two, or one that is none',
    make: (random, target) => {
      const {path, headers} = target.get(random);
      const hosts = random.pick<readonly string[]>([
        [],
        ['Host: a', 'Host: b'],
        ['Host: a b'],
        ['Host: \x7f'],
        ['Host: a:99999'],
        [`Host: ${'a'.repeat(6_000)}`],
      ]);
      return {steps: [send([`GET ${path} HTTP/1.1`, ...hosts, ...headers, 'Connection: close', '', ''].join('\r\n'))]};
    },
    expects: {mayPass: true},
  },
  {
    name: 'an expectation',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const expectation = random.pick(['100-continue', '200-ok', '100-continue, 100-continue', '', 'x'.repeat(3_000)]);
      return {
        steps: [
          send(
            head('POST', target, request, [
              `Expect: ${expectation}`,
              'Connection: close',
              `Content-Length: ${body.length}`,
            ]),
            body,
          ),
        ],
      };
    },
    expects: {mayPass: true},
  },
  {
    name: 'an address that is absolute, or none',
    make: (random, target) => {
      const {path, headers} = target.get(random);
      const address = random.pick([
        `http://elsewhere.example${path}`,
        `http://[::1${path}`,
        `http://a:99999${path}`,
        `http://user:secret@a${path}#x`,
        `gopher://a${path}`,
        `//elsewhere.example${path}`,
        `${path}#fragment`,
        '*',
        '///',
        'http://',
        '?',
        '\\..\\..\\windows',
        `/..${path}`,
        `/${'../'.repeat(random.int(1, 1_000))}etc/passwd`,
      ]);
      return {steps: [get(target, {path: address, headers})]};
    },
    expects: {mayPass: true},
  },
];
