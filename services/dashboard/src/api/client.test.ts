import {describe, expect, test} from '@jest/globals';
import {ApiError, createApi, type DeviceFilter, filterExpression} from './client.ts';

describe('filterExpression', () => {
  test.each([
    [{}, ''],
    [{status: 'late'}, 'status==late'],
    [{status: 'late', group: 'g.1-x', shard: '2'}, 'status==late;group==g.1-x;shard==2'],
    [{status: 'late', mark: 'disputed'}, 'status==late;disputed==true'],
    [{group: 'north & "co"; x'}, 'group=="north & \\"co\\"; x"'],
  ] satisfies [DeviceFilter, string][])('writes %j', (filter, expression) => {
    expect(filterExpression(filter)).toBe(expression);
  });
});

describe('the API client', () => {
  const answering = (status: number, body: string) => createApi(() => Promise.resolve(new Response(body, {status})));

  test('a 401 for the session means that nobody is signed in', async () => {
    expect(await answering(401, '{"title":"Unauthenticated","status":401}').session()).toBeNull();
  });

  test('an error carries the detail of the problem document', async () => {
    await expect(
      answering(404, '{"title":"Not found","status":404,"detail":"No device x."}').device('x'),
    ).rejects.toThrow('No device x.');
  });

  test("a proxy's error page still gives a sentence", async () => {
    const error = await answering(502, '<html>')
      .summary()
      .catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({status: 502, message: expect.stringContaining('502') as unknown});
  });

  test("no answer comes from the browser's cache, where it has the time of an older one", async () => {
    const sent: RequestInit[] = [];
    const api = createApi((_url, init) => {
      sent.push(init ?? {});
      return Promise.resolve(new Response('{}'));
    });
    await api.device('x');
    await api.summary();
    expect(sent.map(({cache}) => cache)).toEqual(['no-store', 'no-store']);
  });

  test.each([
    ['30', 30_000],
    ['86400', 600_000],
    ['-1', 0],
    ['Sat, 28 Nov 2026 20:00:00 GMT', 0],
    [undefined, 0],
  ])('Retry-After %j is kept as %i ms', async (header, retryAfterMs) => {
    const headers: HeadersInit = header === undefined ? {} : {'retry-after': header};
    for (const body of ['{"title":"Too many"}', '<html>']) {
      const api = createApi(() => Promise.resolve(new Response(body, {status: 429, headers})));
      await expect(api.summary()).rejects.toMatchObject({status: 429, retryAfterMs});
    }
  });

  test('a list is asked for as it is filtered, searched and sorted, and counted once', async () => {
    const asked: URLSearchParams[] = [];
    const api = createApi((url) => {
      asked.push(new URL(typeof url === 'string' ? url : '', 'http://dashboard.test').searchParams);
      return Promise.resolve(new Response('{}'));
    });
    const filter = {status: 'late', q: 'attic', sort: '-lastSync'};
    await api.devices(filter, null);
    await api.devices(filter, 'c');
    const said = ['filter', 'q', 'sort', 'count', 'cursor'].map((name) => asked.map((query) => query.get(name)));
    expect(said).toEqual([
      ['status==late', 'status==late'],
      ['attic', 'attic'],
      ['-lastSync', '-lastSync'],
      ['true', null],
      [null, 'c'],
    ]);
  });

  test('a change that is not answered ends, and is not said to be undone', async () => {
    const sent: RequestInit[] = [];
    const api = createApi((_url, init) => {
      sent.push(init ?? {});
      return Promise.reject(new DOMException('signal timed out', 'TimeoutError'));
    });
    await expect(api.setAccess('x', 'revoke', 'csrf')).rejects.toThrow('It may be done all the same');
    expect(sent[0]?.signal).toBeInstanceOf(AbortSignal);
  });

  test('no answer at all is said as such', async () => {
    const api = createApi(() => Promise.reject(new TypeError('fetch failed')));
    await expect(api.summary()).rejects.toMatchObject({status: 0});
  });
});
