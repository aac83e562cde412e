import {z} from 'zod';
import {route, type Route} from '../http/route.ts';
import {type DocumentOptions, openApiDocument} from './document.ts';

/** The routes together with the one that describes all of them, itself included. */
export const withOpenApi = (routes: readonly Route[], options: DocumentOptions): readonly Route[] => {
  const own = route(
    {
      method: 'get',
      path: '/api/v1/openapi.json',
      operationId: 'getOpenApi',
      summary: 'This document.',
      access: 'anyone',
      success: {status: 200, description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown())},
      constant: true,
    },
    () => Promise.resolve({body: document}),
  );
  const all = [...routes, own];
  const document = openApiDocument(all, options);
  return all;
};
