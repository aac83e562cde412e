import {expect, test} from '@jest/globals';
import decodeQR from 'qr/decode.js';
import {qrPath} from './qr-path.ts';

const PX = 4;

/** The picture that the path draws. */
const drawn = (size: number, path: string) => {
  const width = size * PX;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let place = 0; place < PX * PX; place++) {
      const [column, row] = [Number(x) * PX + (place % PX), Number(y) * PX + Math.floor(place / PX)];
      data.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3);
    }
  }
  return {width, height: width, data};
};

test('what a reader finds in the code is the text', () => {
  const text = `echo pse_${'a-B_9'.repeat(8)}xyz | sudo install -D -m 600 /dev/stdin /etc/pisync/enrolment-token && sudo node main.ts`;
  const {size, path} = qrPath(text);
  expect(decodeQR(drawn(size, path))).toBe(text);
});
