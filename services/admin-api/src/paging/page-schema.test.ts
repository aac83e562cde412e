import {expect, test} from '@jest/globals';
import {z} from 'zod';
import {route} from '../http/route.ts';
import {openApiDocument} from '../openapi/document.ts';
import {givenTime, inUtc, pageQuery} from './page-schema.ts';

const query = z.strictObject(pageQuery);

test('a limit is digits within the bounds, and 50 where it is not said', () => {
  expect(query.parse({}).limit).toBe(50);
  expect(query.parse({limit: '1'}).limit).toBe(1);
  expect(query.parse({limit: '0500'}).limit).toBe(500);
  for (const limit of ['', '0', '501', '1e2', '0x10', '+5', ' 5', '1.0', 'NaN', '٣']) {
    expect({limit, ok: query.safeParse({limit}).success}).toEqual({limit, ok: false});
  }
});

test('the document says what a limit may be', () => {
  const list = route(
    {
      method: 'get',
      path: '/api/v1/things',
      operationId: 'listThings',
      summary: 'Things.',
      access: 'read',
      query,
      success: {status: 200, description: 'Them.'},
    },
    () => Promise.resolve({body: undefined}),
  );
  expect(openApiDocument([list], {version: '1', cookieName: 'c'})).toMatchObject({
    paths: {
      '/api/v1/things': {
        get: {
          parameters: [
            {name: 'limit', required: false, schema: {type: 'integer', minimum: 1, maximum: 500, default: 50}},
            {name: 'cursor', required: false},
          ],
        },
      },
    },
  });
});

test.each([
  ['2026-11-28T19:00:00Z', '2026-11-28T19:00:00Z'],
  ['2026-11-28T19:00:00.5+02:00', '2026-11-28T17:00:00.5Z'],
  ['2026-11-28T19:00:00.402911Z', '2026-11-28T19:00:00.402911Z'],
  [`2026-11-28T19:00:00.${'9'.repeat(200)}Z`, '2026-11-28T19:00:00.999999Z'],
  ['2999-01-01T00:00:00-23:59', '2999-01-01T23:59:00Z'],
  ['0001-01-02T00:00:00+23:59', '0001-01-01T00:01:00Z'],
])('the time %s is %s in UTC', (given, utc) => {
  expect(inUtc(givenTime.parse(given))).toBe(utc);
});

test.each(['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+00:01', '9999-12-31T23:59:59-00:01'])(
  'the time %s cannot be given',
  (given) => {
    expect(givenTime.safeParse(given).success).toBe(false);
  },
);
