import type {RequestHandler, Response} from 'express';

const HEADER = 'X-Request-Id';
const ACCEPTABLE = /^[A-Za-z0-9._-]{8,64}$/;

/** Names each request in answer and log: the proxy's own id where it sent a plain one, else a new one. */
export const requestIds =
  (createId: () => string): RequestHandler =>
  (request, response, next) => {
    const given = request.headers['x-request-id'];
    response.setHeader(HEADER, typeof given === 'string' && ACCEPTABLE.test(given) ? given : createId());
    next();
  };

export const requestIdOf = (response: Response): string | undefined => {
  const id = response.getHeader(HEADER);
  return typeof id === 'string' ? id : undefined;
};
