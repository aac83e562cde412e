/** Clients that take their time, or leave without a word. */
import {get, head, type HostileKind, send} from '../hostile-call.ts';

const CHUNKED = 'Transfer-Encoding: chunked';
/** Longer than a region waits for what does not come. */
const LONG = {mayBeSilent: true, patienceMs: 16_000} as const;
const SHORT = {mayPass: true, mayBeSilent: true, patienceMs: 2_000} as const;

export const SLOW: readonly HostileKind[] = [
  {
    name: 'headers that come byte by byte',
    make: (random, target) => ({
      steps: [
        {
          do: 'drip',
          bytes: Buffer.from(head('GET', target, target.get(random), ['X-Slow: '.padEnd(2_000, 'x')]), 'latin1'),
          everyMs: random.pick([20, 100, 500]),
        },
      ],
    }),
    expects: LONG,
  },
  {
    name: 'headers that never end',
    make: (random, target) => ({
      steps: [
        send(head('GET', target, target.get(random)).slice(0, -2)),
        {do: 'repeat', bytes: Buffer.from('X-More: and more\r\n'), everyMs: random.pick([5, 100])},
      ],
    }),
    expects: LONG,
  },
  {
    name: 'a body that comes byte by byte',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {
        steps: [
          send(head('POST', target, request, [`Content-Length: ${body.length + 3_000}`])),
          {do: 'drip', bytes: Buffer.from(body.padEnd(body.length + 3_000)), everyMs: random.pick([50, 200, 1_000])},
        ],
      };
    },
    expects: LONG,
  },
  {
    name: 'a body that never ends',
    make: (random, target) => ({
      steps: [
        send(head('POST', target, target.post(random), [CHUNKED])),
        {
          do: 'repeat',
          bytes: Buffer.from(
            random.pick(['1\r\n \r\n', `400\r\n${' '.repeat(1024)}\r\n`, `8000\r\n${' '.repeat(0x8000)}\r\n`]),
          ),
          everyMs: random.pick([2, 20, 200]),
        },
      ],
    }),
    expects: LONG,
  },
  {
    name: 'a body that goes on after it was refused',
    make: (random, target) => ({
      steps: [
        send(head('POST', target, target.post(random), ['Content-Length: 1000000000'])),
        {do: 'repeat', bytes: Buffer.alloc(16 * 1024, ' '), everyMs: 10},
      ],
    }),
    expects: LONG,
  },
  {
    name: 'a body of which half comes, and then nothing',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {
        steps: [
          send(head('POST', target, request, [`Content-Length: ${body.length}`]), body.slice(0, body.length >> 1)),
        ],
      };
    },
    expects: LONG,
  },
  {
    name: 'an expectation, and then nothing',
    make: (random, target) => ({
      steps: [send(head('POST', target, target.post(random), ['Content-Length: 5000', 'Expect: 100-continue']))],
    }),
    expects: LONG,
  },
  {
    name: 'a connection on which nothing is said',
    make: () => ({steps: []}),
    expects: SHORT,
  },
  {
    name: 'a connection that is opened and ended',
    make: (random) => ({steps: random.chance(0.5) ? [{do: 'end'}] : [{do: 'reset'}]}),
    expects: SHORT,
  },
  {
    name: 'a request, and a reset at once',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const whole = random.chance(0.5)
        ? [head('GET', target, target.get(random))]
        : [
            head('POST', target, request, [`Content-Length: ${body.length}`]),
            body.slice(0, random.int(0, body.length)),
          ];
      return {steps: [send(...whole), {do: 'reset'}]};
    },
    expects: SHORT,
  },
  {
    name: 'a request, and the end of what is said',
    make: (random, target) => ({steps: [get(target, target.get(random)), {do: 'end'}]}),
    expects: SHORT,
  },
  {
    name: 'answers that are not read',
    make: (random, target) => ({steps: [{do: 'deafen'}, send(head('GET', target, target.get(random)))]}),
    expects: {mayPass: true, mayBeSilent: true, patienceMs: 5_000},
  },
];
