import {afterAll, beforeAll, describe, test} from '@jest/globals';
import {helmInstall} from './kit/operator.ts';
import {dropRegion, readyRegion, type Region} from './kit/region.ts';
import {makeGivens, removeGivens, walk} from './walks/walk.ts';
import {WALKS} from './walks/walks.ts';

describe('a live region is changed and changed back', () => {
  let region: Region;
  beforeAll(async () => {
    await helmInstall();
    region = await readyRegion('walked');
    await makeGivens(region);
  }, 300_000);
  afterAll(async () => {
    await dropRegion(region);
    await removeGivens(region);
  }, 90_000);

  // What a walk is about and how it goes: walks/walks.ts. That every field is in one, or why it is not: walks/walks.test.ts.
  test.each(WALKS.map((each) => [each.name, each] as const))('%s', (_name, each) => walk(region, each), 600_000);
});
