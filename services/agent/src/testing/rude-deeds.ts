/** Kinds of what a middlebox may do, each seen somewhere or one step from it. */
import {setTimeout as delay} from 'node:timers/promises';
import {gunzipSync, gzipSync} from 'node:zlib';
import type {Deed, Passed, Passing, Way} from './middlebox.ts';

export interface Rudeness {
  readonly name: string;
  readonly deed: Deed;
  /** It keeps a call open so long that the device gives it up. */
  readonly isSlow?: true;
  /** The region itself refuses what became of the call, so that the device may enrol for a new epoch. */
  readonly isRefusal?: true;
  /** It denies what was done, so that the region sees other content under the same number, and keeps both. */
  readonly isDenial?: true;
  /** Everything arrives all the same. */
  readonly isHarmless?: true;
}

const page = (status: number, text: string, headers: Readonly<Record<string, string>> = {}): Passed => ({
  status,
  headers: {'content-type': 'text/html', ...headers},
  body: Buffer.from(`<html><body><h1>${status}</h1>${text}</body></html>`),
});
const json = (status: number, body: unknown): Passed => ({
  status,
  headers: {'content-type': 'application/json'},
  body: Buffer.from(JSON.stringify(body)),
});

/** Answers without the region. */
const instead =
  (passed: Passed): Deed =>
  ({answer}) => {
    answer(passed);
    return Promise.resolve();
  };
/** Answers something else than the region did. */
const afterwards =
  (passed: Passed): Deed =>
  async ({call, forward, answer}) => {
    await forward(call);
    answer(passed);
  };
const asking =
  (change: (call: Passing) => Passing): Deed =>
  async ({call, forward, answer}) =>
    answer(await forward(change(call)));
const answering =
  (change: (passed: Passed) => Passed): Deed =>
  async ({call, forward, answer}) =>
    answer(change(await forward(call)));

const STATUSES = [
  ...[
    200, 201, 202, 203, 206, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412,
  ],
  ...[
    413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 507, 508,
  ],
  ...[511, 520, 521, 522, 523, 524, 525, 526, 530],
];

const pages: readonly Rudeness[] = STATUSES.flatMap((status): Rudeness[] => [
  {name: `a page with ${status}`, deed: instead(page(status, 'something is wrong', {location: 'http://127.0.0.1:9/'}))},
  {
    name: `a page with ${status} after the region took it`,
    deed: afterwards(page(status, 'something went wrong')),
    ...(status === 413 ? {isDenial: true} : {}),
  },
]);

const PROBLEM = 'urn:pisync:problem:';
const documents: readonly Rudeness[] = [
  ...[400, 401, 403, 409, 413, 415, 421, 422, 429, 503].map((status) => ({
    name: `a JSON document with ${status}`,
    deed: instead(json(status, {message: 'no'})),
  })),
  // As a fault of a region's own would be, that an old connection or a cache gives to somebody else.
  ...[400, 401, 403, 409, 413, 415, 421, 422].map((status) => ({
    name: `a region's problem with ${status} that belongs to no call`,
    deed: instead(json(status, {type: `${PROBLEM}x`, code: 'enrol-again', expected: 1, home: 'http://127.0.0.1:9'})),
  })),
  {name: 'a maintenance page that asks for a day', deed: instead(page(503, 'tomorrow', {'retry-after': '86400'}))},
  {name: 'a limiter that asks for a week', deed: instead(page(429, 'slowly', {'retry-after': '604800'}))},
  {name: 'a login page', deed: instead(page(200, '<form>password</form>'))},
  {name: 'a login page elsewhere', deed: instead(page(302, '', {location: 'http://portal.example/'}))},
  {name: 'a login document', deed: instead(json(200, {accepted: true, login: 'http://portal.example/'}))},
  {name: 'an empty success', deed: instead({status: 204, headers: {}, body: Buffer.alloc(0)})},
  {name: 'a success of a batch that was never sent', deed: instead(json(200, {accepted: 1, applied: 500}))},
  {name: 'a heartbeat that says everything is applied', deed: instead(json(200, {applied: 500}))},
];

const cut = (body: Buffer, share: number): Buffer => body.subarray(0, Math.floor(body.length * share));
const head = ({status, body}: Passed): Buffer =>
  Buffer.from(`HTTP/1.1 ${status} X\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`);
const garble = (body: Buffer, share: number): Buffer => {
  const garbled = Buffer.from(body);
  // In JSON and in gzip alike it cannot stand for something else that is right.
  garbled.fill(0, Math.floor(garbled.length * share), Math.floor(garbled.length * share) + 3);
  return garbled;
};

const hangingUp =
  (bytes?: Buffer): Deed =>
  ({hangUp}) => {
    hangUp(bytes);
    return Promise.resolve();
  };

const losses: readonly Rudeness[] = [
  {name: 'drops the call', deed: hangingUp()},
  {
    name: 'drops the answer',
    async deed({call, forward, hangUp}) {
      await forward(call);
      hangUp();
    },
  },
  {name: 'speaks something else', deed: hangingUp(Buffer.from('220 mail ESMTP\r\n'))},
  ...[0, 0.2, 0.5, 0.8, 0.99].flatMap((share): Rudeness[] => [
    {
      name: `ends within the answer, at ${share}`,
      async deed({call, forward, hangUp}) {
        const passed = await forward(call);
        hangUp(Buffer.concat([head(passed), cut(passed.body, share)]));
      },
    },
    {
      name: `gives the answer for whole that it cut at ${share}`,
      deed: answering((passed) => ({...passed, body: cut(passed.body, share)})),
    },
    {
      name: `gives the call for whole that it cut at ${share}`,
      deed: asking((call) => ({...call, body: cut(call.body, share)})),
    },
    {name: `garbles the call at ${share}`, deed: asking((call) => ({...call, body: garble(call.body, share)}))},
    {
      name: `garbles the answer at ${share}`,
      deed: answering((passed) => ({...passed, body: garble(passed.body, share)})),
    },
  ]),
  {
    name: 'puts its advertisement behind the answer',
    deed: answering((passed) => ({...passed, body: Buffer.concat([passed.body, Buffer.from('<script></script>')])})),
  },
  {
    name: 'puts the answer into a page',
    deed: answering((passed) => ({...passed, body: Buffer.from(`<pre>${passed.body.toString()}</pre>`)})),
  },
  {name: 'makes a success of every answer', deed: answering((passed) => ({...passed, status: 200})), isHarmless: true},
  {name: 'makes a 502 of every answer', deed: answering((passed) => ({...passed, status: 502}))},
  {name: 'makes a 401 of every answer', deed: answering((passed) => ({...passed, status: 401}))},
  {name: 'makes a 413 of every answer', deed: answering((passed) => ({...passed, status: 413})), isDenial: true},
  {
    name: 'answers late',
    isHarmless: true,
    async deed({call, forward, answer}) {
      const passed = await forward(call);
      await delay(20);
      answer(passed);
    },
  },
  {
    name: 'answers too late',
    isSlow: true,
    async deed({call, forward, answer}) {
      const passed = await forward(call);
      await delay(1500);
      answer(passed);
    },
  },
  {name: 'never answers', isSlow: true, deed: () => Promise.resolve()},
];

const repetitions: readonly Rudeness[] = [
  {
    name: 'sends the call twice and gives the first answer',
    isHarmless: true,
    async deed({call, forward, answer}) {
      const passed = await forward(call);
      await forward(call);
      answer(passed);
    },
  },
  {
    name: 'sends the call twice and gives the second answer',
    isHarmless: true,
    async deed({call, forward, answer}) {
      await forward(call);
      answer(await forward(call));
    },
  },
  {
    name: 'sends the call three times at once',
    isHarmless: true,
    async deed({call, forward, answer}) {
      const [passed] = await Promise.all([forward(call), forward(call), forward(call)]);
      answer(passed);
    },
  },
];

const pathOf = ({path}: {readonly path: string}): string => path.replace(/\?.*/, '');
/** Answers with what it has, else honestly. */
const cached =
  (find: (way: Way) => Passed | undefined, isTold: boolean): Deed =>
  async (way) => {
    const had = find(way);
    const passed = had === undefined || isTold ? await way.forward(way.call) : had;
    way.answer(had ?? passed);
  };
const caches: readonly Rudeness[] = [false, true].flatMap((isTold): Rudeness[] => {
  const when = isTold ? ', and tells the region all the same' : '';
  const ofPath = ({answered, call}: Way) => answered.filter((one) => pathOf(one) === pathOf(call));
  return [
    {name: `gives the first answer again${when}`, deed: cached((way) => ofPath(way)[0], isTold)},
    {name: `gives the last answer again${when}`, deed: cached((way) => ofPath(way).at(-1), isTold)},
    {name: `gives the last answer to whatever${when}`, deed: cached(({answered}) => answered.at(-1), isTold)},
  ];
});

const coded = (change: (call: Passing) => Passing): Pick<Rudeness, 'deed' | 'isHarmless'> => ({
  deed: asking(change),
  isHarmless: true,
});
const without = (name: string) => (call: Passing) => ({
  ...call,
  headers: Object.fromEntries(Object.entries(call.headers).filter(([known]) => known !== name)),
});
const withHeader = (name: string, value: string) => (call: Passing) => ({
  ...call,
  headers: {...call.headers, [name]: value},
});
const inflated = (call: Passing): Passing =>
  call.headers['content-encoding'] === undefined ? call : {...call, body: gunzipSync(call.body)};
const codings: readonly Rudeness[] = [
  {name: 'deletes Content-Encoding', ...coded(without('content-encoding'))},
  {name: 'inflates, and deletes Content-Encoding', ...coded((call) => without('content-encoding')(inflated(call)))},
  {name: 'inflates, and keeps Content-Encoding', ...coded(inflated)},
  {
    name: 'compresses anew',
    ...coded((call) => ({...withHeader('content-encoding', 'gzip')(call), body: gzipSync(inflated(call).body)})),
  },
  {
    name: 'shouts Content-Encoding',
    ...coded((call) =>
      call.headers['content-encoding'] === undefined ? call : withHeader('content-encoding', 'GZIP')(call),
    ),
  },
  {name: 'says gzip of whatever', ...coded(withHeader('content-encoding', 'gzip'))},
  {name: 'says identity of whatever', ...coded(withHeader('content-encoding', 'identity'))},
  {name: 'deletes Content-Type', ...coded(without('content-type'))},
  {name: 'says text of whatever', ...coded(withHeader('content-type', 'text/plain'))},
  {name: 'deletes the protocol', ...coded(without('x-pisync-protocol'))},
  {name: 'adds to the query', ...coded((call) => ({...call, path: `${call.path}&utm_source=proxy`}))},
  {name: 'takes the query away', deed: asking((call) => ({...call, path: pathOf(call)}))},
  {name: 'empties the body', deed: asking((call) => ({...call, body: Buffer.alloc(0)}))},
  {name: 'deletes Authorization', deed: asking(without('authorization')), isRefusal: true},
  {name: 'shows another credential', deed: asking(withHeader('authorization', 'Bearer ps_x.y')), isRefusal: true},
  {
    name: 'compresses the answer, unless it is asked not to',
    ...{isHarmless: true},
    async deed({call, forward, answer}) {
      const passed = await forward(call);
      const isAllowed = call.headers['accept-encoding'] !== 'identity';
      answer(
        isAllowed
          ? {...passed, headers: {...passed.headers, 'content-encoding': 'gzip'}, body: gzipSync(passed.body)}
          : passed,
      );
    },
  },
  {
    name: 'pretty-prints the answer',
    ...{isHarmless: true},
    deed: answering((passed) => ({
      ...passed,
      body: Buffer.from(JSON.stringify(JSON.parse(passed.body.toString()), null, 2)),
    })),
  },
];

/** Gives answers that are right but for one thing: to calls of another day, or of somebody else. @param deviceId the device's own */
export const strayAnswers = (region: string, deviceId: string): readonly Rudeness[] => {
  const own = {region, deviceId, epoch: 'e1', nonce: 'another-1', applied: 500};
  const others = {'of another day': own, 'of a neighbour': {...own, deviceId: 'neighbour'}};
  return Object.entries(others).flatMap(([name, answer]) =>
    [undefined, 1, 2, 3].map((accepted) => ({
      name: `gives an answer ${name} to ${accepted === undefined ? 'a heartbeat' : `batch ${accepted}`}`,
      deed: instead(json(200, {...answer, ...(accepted === undefined ? {} : {accepted})})),
    })),
  );
};

/** Leads to another region. @param urls regions, with a name for what they are */
export const misroutings = (urls: Readonly<Record<string, string>>): readonly Rudeness[] =>
  Object.entries(urls).flatMap(([name, url]): Rudeness[] => [
    {name: `leads to ${name}`, deed: async ({call, forward, answer}) => answer(await forward(call, url))},
    {
      name: `leads to ${name} with what is no enrolment`,
      deed: async ({call, forward, answer}) =>
        answer(await forward(call, pathOf(call) === '/v1/enroll' ? undefined : url)),
    },
    {
      name: `leads to ${name} as well`,
      async deed({call, forward, answer}) {
        await forward(call);
        answer(await forward(call, url));
      },
    },
  ]);

export const RUDENESSES: readonly Rudeness[] = [
  ...pages,
  ...documents,
  ...losses,
  ...repetitions,
  ...caches,
  ...codings,
];
