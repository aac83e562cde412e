import type {NextFunction, Request, Response} from 'express';

/** Whether the caller's own connection is encrypted; it ends at the region's proxy, which says so. */
export const cameOverTls = (request: Request): boolean => request.get('x-forwarded-proto') === 'https';

/** Browsers take TLS for half a year then, for this host alone. */
const STRICT_TRANSPORT_SECURITY = 'max-age=15552000';

/** Names of the reader's own machine, where other programs are served without TLS (RFC 6761, 6.3). */
const isLocal = (host: string): boolean => /(^|\.)localhost$/i.test(host);

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
  // Browsers take these over TLS only, and else complain about the first on the console of every page.
  if (cameOverTls(request)) {
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    if (!isLocal(request.hostname)) response.setHeader('Strict-Transport-Security', STRICT_TRANSPORT_SECURITY);
  }
  next();
};
