/** Bodies that inflate to more, to less, or to nothing. */
import {deflateRawSync, gzipSync} from 'node:zlib';
import {type HostileKind, post, type Target} from '../hostile-call.ts';
import type {Random} from '../random.ts';

const GZIP = 'Content-Encoding: gzip';
const MIB = 1024 * 1024;

/** Blanks: two, ten and a hundred MiB of them. Made once, because that takes longer than to refuse them. */
const BOMBS = [2, 10, 100].map((mib) => gzipSync(Buffer.alloc(mib * MIB, ' ')));

/** A body, in one way or other said to be gzip. */
const sent = (random: Random, target: Target, make: (body: Buffer) => Buffer) => {
  const {body, ...request} = target.post(random);
  const lines = random.chance(0.8) ? [random.pick([GZIP, 'Content-Encoding: x-gzip', 'content-encoding: GZIP'])] : [];
  return {steps: [post(target, request, make(Buffer.from(body)), lines)]};
};

/** The header of RFC 1952, with flags. */
const header = (flags: number): Buffer => Buffer.from([0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3]);
const NAME = 0x08;
const EXTRA = 0x04;
const EMPTY_MEMBER = gzipSync('');

export const CODINGS: readonly HostileKind[] = [
  {
    name: 'a gzip bomb',
    make: (random, target) => sent(random, target, () => random.pick(BOMBS)),
  },
  {
    name: 'a gzip bomb around a gzip bomb',
    make: (random, target) => sent(random, target, () => gzipSync(random.pick(BOMBS))),
  },
  {
    name: 'gzip that is cut off',
    make: (random, target) =>
      sent(random, target, (body) => {
        const whole = gzipSync(body);
        return whole.subarray(0, random.int(2, whole.length - 1));
      }),
  },
  {
    name: 'gzip that was garbled',
    make: (random, target) =>
      sent(random, target, (body) => {
        const whole = gzipSync(body);
        const at = random.int(2, whole.length - 1);
        whole[at] = (whole[at] ?? 0) ^ random.int(1, 255);
        return whole;
      }),
    // Some bytes of it mean nothing.
    expects: {mayPass: true},
  },
  {
    name: 'gzip with something behind it',
    make: (random, target) =>
      sent(random, target, (body) => Buffer.concat([gzipSync(body), random.bytes(random.int(1, 5_000))])),
    expects: {mayPass: true},
  },
  {
    name: 'gzip of thousands of empty members',
    make: (random, target) =>
      sent(random, target, () =>
        Buffer.concat(new Array<Buffer>(random.pick([700, 3_000, 25_000])).fill(EMPTY_MEMBER)),
      ),
  },
  {
    name: 'gzip that is all header',
    make: (random, target) =>
      sent(random, target, () =>
        random.pick([
          header(0),
          header(0).subarray(0, 2),
          Buffer.concat([header(NAME), Buffer.alloc(random.int(1, 60_000), 'n')]),
          Buffer.concat([header(EXTRA), Buffer.from([0xff, 0xff]), Buffer.alloc(random.int(1, 60_000))]),
        ]),
      ),
  },
  {
    name: 'a coding that is not taken',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      const coding = random.pick([
        'br',
        'zstd',
        'deflate',
        'compress',
        'gzip, gzip',
        'gzip;q=1',
        'snappy',
        'a,'.repeat(2_000),
        '\x7f',
        'identity;q=0',
      ]);
      return {steps: [post(target, request, body, [`Content-Encoding: ${coding}`])]};
    },
  },
  {
    name: 'deflate without a word of it',
    make: (random, target) => {
      const {body, ...request} = target.post(random);
      return {steps: [post(target, request, deflateRawSync(body))]};
    },
  },
];
