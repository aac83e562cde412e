import {describe, expect, test} from '@jest/globals';
import {z} from 'zod';
import {route} from '../http/route.ts';
import {withOpenApi} from './openapi-route.ts';
import {openApiDocument} from './document.ts';

const OPTIONS = {version: '1', cookieName: 'pisync_session_eu'};

const things = route(
  {
    method: 'get',
    path: '/api/v1/things/{id}',
    operationId: 'getThing',
    summary: 'A thing.',
    access: 'read',
    params: z.strictObject({id: z.uuid()}),
    query: z.strictObject({limit: z.coerce.number().int().max(5).default(2).describe('Rows.')}),
    success: {status: 200, description: 'It.', schema: z.object({at: z.iso.datetime()})},
    tagged: (body) => body,
    problems: {404: 'No such thing.'},
  },
  () => Promise.resolve({body: {at: ''}}),
);

const change = route(
  {
    method: 'patch',
    path: '/api/v1/things/{id}',
    operationId: 'changeThing',
    summary: 'Change a thing.',
    access: 'operate',
    conditional: true,
    body: z.strictObject({at: z.string()}),
    success: {status: 200, description: 'It.', schema: z.object({at: z.string()})},
    tagged: (body) => body,
  },
  () => Promise.resolve({body: {at: ''}}),
);

describe('OpenAPI document', () => {
  const document = openApiDocument(withOpenApi([things, change], OPTIONS), OPTIONS);

  test('describes parameters, answers and problems of a route from its definition', () => {
    expect(document).toMatchObject({
      openapi: '3.1.1',
      paths: {
        '/api/v1/things/{id}': {
          get: {
            operationId: 'getThing',
            parameters: [
              {name: 'id', in: 'path', required: true, schema: {type: 'string', format: 'uuid'}},
              {name: 'limit', in: 'query', required: false, description: 'Rows.', schema: {maximum: 5, default: 2}},
            ],
            responses: {
              200: {content: {'application/json': {schema: {type: 'object', required: ['at']}}}},
              304: {},
              401: {content: {'application/problem+json': {schema: {$ref: '#/components/schemas/Problem'}}}},
              404: {description: 'No such thing.'},
            },
          },
        },
      },
    });
  });

  test('says of a conditional operation that If-Match is needed, and what comes without it', () => {
    expect(document).toMatchObject({
      paths: {
        '/api/v1/things/{id}': {
          patch: {
            parameters: [{name: 'If-Match', in: 'header', required: true}],
            responses: {200: {}, 412: {}, 428: {}},
          },
        },
      },
    });
    expect(document).not.toHaveProperty(['paths', '/api/v1/things/{id}', 'patch', 'responses', '304']);
  });

  test('describes itself, open to anyone', () => {
    expect(document).toMatchObject({paths: {'/api/v1/openapi.json': {get: {security: [], responses: {304: {}}}}}});
  });
});
