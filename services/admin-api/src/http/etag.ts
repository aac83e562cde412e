import {createHash} from 'node:crypto';

/** A strong entity tag of the content. */
export const etagOf = (content: string | Buffer): string =>
  `"${createHash('sha256').update(content).digest('base64url').slice(0, 27)}"`;

/**
 * Whether an `If-None-Match` header names the tag. Weak tags count (RFC 9110, 13.1.2): proxies that compress make ours weak.
 * @param header Undefined where the request has none.
 */
export const knowsEtag = (header: string | undefined, etag: string): boolean =>
  (header ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === etag || tag === '*');
