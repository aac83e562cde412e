import {describe, expect, test} from '@jest/globals';
import {createSigner} from './signer.ts';

const key = Buffer.alloc(32, 7).toString('base64url');
const signer = createSigner(() => Promise.resolve(key));

describe('signer', () => {
  test('gives back what it sealed', async () => {
    const sealed = await signer.seal('a', {x: 1});
    expect(await signer.open('a', sealed)).toEqual({x: 1});
  });

  test('opens nothing for another context or another key', async () => {
    const sealed = await signer.seal('a', {x: 1});
    expect(await signer.open('b', sealed)).toBeUndefined();
    const other = createSigner(() => Promise.resolve(Buffer.alloc(32, 8).toString('base64url')));
    expect(await other.open('a', sealed)).toBeUndefined();
  });

  test('opens nothing that was changed in any character, or is no sealed text at all', async () => {
    const sealed = await signer.seal('a', {x: 1});
    for (let index = 0; index < sealed.length; index++) {
      const changed = `${sealed.slice(0, index)}${sealed[index] === 'A' ? 'B' : 'A'}${sealed.slice(index + 1)}`;
      // The last character carries unused bits: a change there may decode to the same bytes, which is the same signature.
      if (index === sealed.length - 1) continue;
      expect(await signer.open('a', changed)).toBeUndefined();
    }
    for (const garbage of ['', '.', 'a.b', 'a.b.c', sealed.replace('.', '')]) {
      expect(await signer.open('a', garbage)).toBeUndefined();
    }
  });
});
