import {describe, expect, test} from '@jest/globals';
import {createSealer} from './sealer.ts';

const key = Buffer.alloc(32, 7).toString('base64url');
const sealer = createSealer(() => Promise.resolve(key));

describe('what is sealed', () => {
  test('gives back what it sealed', async () => {
    const sealed = await sealer.seal('a', {x: 1});
    expect(await sealer.open('a', sealed)).toEqual({x: 1});
  });

  test('says nothing of what is in it, nor whether it is the same again', async () => {
    const sealed = await sealer.seal('a', {name: 'attic'});
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toMatch(/attic|name/);
    expect(await sealer.seal('a', {name: 'attic'})).not.toBe(sealed);
  });

  test('opens nothing for another context or another key', async () => {
    const sealed = await sealer.seal('a', {x: 1});
    expect(await sealer.open('b', sealed)).toBeUndefined();
    const other = createSealer(() => Promise.resolve(Buffer.alloc(32, 8).toString('base64url')));
    expect(await other.open('a', sealed)).toBeUndefined();
  });

  test('opens nothing that was changed in any character, or is no sealed text at all', async () => {
    const sealed = await sealer.seal('a', {x: 1});
    for (let index = 0; index < sealed.length; index++) {
      const changed = `${sealed.slice(0, index)}${sealed[index] === 'A' ? 'B' : 'A'}${sealed.slice(index + 1)}`;
      // The last character carries unused bits: a change there may decode to the same bytes.
      if (index === sealed.length - 1) continue;
      expect(await sealer.open('a', changed)).toBeUndefined();
    }
    for (const garbage of ['', '.', 'a.b', 'A'.repeat(37), 'A'.repeat(38), sealed.slice(0, -2), `${sealed}AA`]) {
      expect(await sealer.open('a', garbage)).toBeUndefined();
    }
  });
});
