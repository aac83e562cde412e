import type {RequestHandler} from 'express';

/** For answers that are data for one caller: never guessed to be something else, never stored on the way. */
export const apiHeaders: RequestHandler = (_request, response, next) => {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cache-Control', 'no-store');
  next();
};
