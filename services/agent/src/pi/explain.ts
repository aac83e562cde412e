/** What the owner of a device can do about an error that the client only names. */

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/\bECONNREFUSED\b/, 'nothing listens at the address and port of --url'],
  [/\b(ENOTFOUND|EAI_AGAIN)\b/, 'the host name of --url is not known to the DNS'],
  [/\b(UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN)\b/, 'the host of --url cannot be reached'],
  [/\bUND_ERR_HEADERS_TIMEOUT\b/, 'no answer within --timeout'],
  [
    /\b(UND_ERR_SOCKET|ECONNRESET|EPIPE)\b/,
    'the connection was closed before the answer, or somebody sent 100 Continue unasked',
  ],
  [/\bUND_ERR_RES_EXCEEDED_MAX_SIZE\b/, 'the answer is too large for a region: is --url right?'],
  [
    /\b(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+)\b/,
    'the certificate is not of an authority that Node.js knows, which does not ask the machine: give it with --ca-file',
  ],
  [
    /\b(CERT_NOT_YET_VALID|CERT_HAS_EXPIRED)\b/,
    'the certificate is not valid at the time that this machine has: look at both',
  ],
  [/\bERR_TLS_CERT_ALTNAME_INVALID\b/, 'the certificate is for another name than that of --url'],
  [/\b(ERR_SSL_\w+|EPROTO)\b/, 'this is not TLS, or not a version of it that both know: https or http?'],
  [/^HTTP 30[1-8]\b/, 'a redirect, which is not followed: give the address that it leads to as --url (https?)'],
  [/^HTTP 2\d\d without/, 'what answers is not a region: is --url right, and no login page in between?'],
  [
    /\bthis device is of region\b/,
    'is --url that of another region? To move this device there, remove identity.json from its state folder: what it has to send goes along',
  ],
  [/^HTTP 404\b/, 'is --url the address of a region, without a path?'],
];

/** The error, with a hint behind it where there is one. */
export const explain = (error: string): string => {
  const hint = HINTS.find(([pattern]) => pattern.test(error))?.[1];
  return hint === undefined ? error : `${error} (${hint})`;
};
