import type {NextFunction, Request, Response} from 'express';

/** Whether the caller's own connection is encrypted; it ends at the region's proxy, which says so. */
export const cameOverTls = (request: Request): boolean => request.get('x-forwarded-proto') === 'https';

/** The page runs only its own files and talks only to its own origin; nobody may frame it. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  // Errors too; what may be kept says so itself.
  'Cache-Control': 'no-store',
};

export const securityHeaders = (request: Request, response: Response, next: NextFunction): void => {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  // Browsers take this one over TLS only, and else complain about it on the console of every page.
  if (cameOverTls(request)) response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  next();
};
