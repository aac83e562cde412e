import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import {z} from 'zod';
import {type KubeObject} from '../kube/object.ts';
import {type Problem} from './problems.ts';

/** What is wrong with a certificate now, and what will be soon. */
export interface CertificateVerdict {
  readonly problem?: Problem;
  readonly warning?: Problem;
}

const KEYS = ['tls.crt', 'tls.key'] as const;

const DAY_MS = 86_400_000;

/** Who renews in time does it well before: cert-manager at two thirds of the life, people at a month before its end. */
const soonMs = (lifeMs: number): number => Math.min(14 * DAY_MS, lifeMs / 6);

/** Whether `secret` serves as the certificate that it is named as: it can be read, its key is its own, it is for these hosts, and for this time. */
export const judgeCertificate = (
  name: string,
  secret: KubeObject | undefined,
  hosts: readonly string[],
  now: Date,
): CertificateVerdict => {
  const named = `Secret ${name} (spec.ingress.tls.secretName)`;
  if (secret === undefined) {
    return {
      problem: {
        reason: 'CertificateMissing',
        message: `${named} does not exist; kubectl create secret tls ${name} --cert=FILE --key=FILE makes one`,
      },
    };
  }
  const unfit = (message: string): CertificateVerdict => ({
    problem: {reason: 'CertificateUnfit', message: `${named} ${message}`},
  });
  const data = z.record(z.string(), z.string()).safeParse(secret['data']).data ?? {};
  const lacking = KEYS.filter((key) => (data[key] ?? '') === '');
  if (lacking.length > 0) return unfit(`is no certificate: it lacks ${lacking.join(' and ')}`);
  const [certificate, key] = KEYS.map((part) => Buffer.from(data[part] ?? '', 'base64'));
  const leaf = parsed(() => new X509Certificate(certificate ?? ''));
  if (leaf === undefined) return unfit('is no certificate: tls.crt cannot be read as PEM');
  const privateKey = parsed(() => privateKeyOf(String(key)));
  if (privateKey === undefined)
    return unfit('is no certificate: tls.key cannot be read as a PEM key without a password');
  if (!leaf.checkPrivateKey(privateKey))
    return unfit('has a key (tls.key) that is not that of its certificate (tls.crt)');
  // Clients look at the alternative names alone.
  const foreign = hosts.filter((host) => leaf.checkHost(host, {subject: 'never'}) === undefined);
  if (foreign.length > 0)
    return unfit(`is not for ${foreign.join(' and ')}, but for ${leaf.subjectAltName ?? 'no name'}`);
  const [from, to] = [leaf.validFromDate, leaf.validToDate];
  if (now < from) return unfit(`is not valid before ${from.toISOString()}`);
  if (now >= to) return unfit(`is not valid any more since ${to.toISOString()}`);
  return to.getTime() - now.getTime() > soonMs(to.getTime() - from.getTime())
    ? {}
    : {warning: {reason: 'CertificateExpires', message: `the certificate in ${named} ends at ${to.toISOString()}`}};
};

const PEM = /-----BEGIN (?<label>RSA |EC |)PRIVATE KEY-----(?<text>[A-Za-z0-9+/=\s]*)-----END/;
/** By the label of the PEM. */
const TYPES = {'RSA ': 'pkcs1', 'EC ': 'sec1', '': 'pkcs8'} as const;
/** Four times what an RSA key of 4,096 bits has. */
const LONGEST_KEY = 16_384;

/**
 * How DER begins (in hex): a sequence of a version and what follows in a key of RSA, in one of an elliptic curve, and in PKCS #8 the algorithm, which is RSA,
 * RSA-PSS, an elliptic curve, Ed25519 or Ed448.
 */
const KEY_OF_TLS =
  /^30(?:[0-7].|81..|82.{4})(?:02010002|02010104|02010[01]30..06(?:092a864886f70d01010[1a]|072a8648ce3d0201|032b657[01]))/;

/**
 * Throws if it is none. Keys that no server takes are not even parsed: of a DSA key the public half is calculated, which takes hours for one that fits into a
 * Secret, and meanwhile nothing else is done.
 */
const privateKeyOf = (pem: string): KeyObject => {
  const {label = '', text = ''} = PEM.exec(pem)?.groups ?? {};
  const key = Buffer.from(text, 'base64');
  if (text.length > LONGEST_KEY || !KEY_OF_TLS.test(key.toString('hex'))) throw new Error('no private key for TLS');
  return createPrivateKey({key, format: 'der', type: TYPES[label as keyof typeof TYPES]});
};

const parsed = <T>(parse: () => T): T | undefined => {
  try {
    return parse();
  } catch {
    // OpenSSL's words (`error:0480006C:PEM routines::no start line`) help nobody.
    return undefined;
  }
};
