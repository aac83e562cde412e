import {generateKeyPairSync} from 'node:crypto';
import {expect, test} from '@jest/globals';
import {type KubeObject} from '../kube/object.ts';
import {judgeCertificate} from './certificate.ts';
import {known} from './reading.ts';
import {CERTIFICATE, KEY, OTHER_KEY} from './testing/certificates.ts';
import {SimulatedRegion} from './testing/simulated-region.ts';

const HOST = 'eu.sync.example.com';
const NOW = new Date('2026-03-01T12:00:00Z');
const secretOf = (data: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: {name: 'cert', uid: 'secret', resourceVersion: '1'},
  data: Object.fromEntries(
    Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')] as const),
  ),
});
const GOOD = secretOf({'tls.crt': CERTIFICATE, 'tls.key': KEY});

test.each<[string, KubeObject | undefined, string | undefined, string]>([
  ['that serves', GOOD, undefined, ''],
  ['that does not exist', undefined, 'CertificateMissing', 'kubectl create secret tls cert'],
  ['without a key', secretOf({'tls.crt': CERTIFICATE, 'tls.key': ''}), 'CertificateUnfit', 'it lacks tls.key'],
  ['without anything', secretOf({}), 'CertificateUnfit', 'it lacks tls.crt and tls.key'],
  ['with garbage', secretOf({'tls.crt': 'garbage', 'tls.key': KEY}), 'CertificateUnfit', 'tls.crt cannot be read'],
  [
    'with garbage for a key',
    secretOf({'tls.crt': CERTIFICATE, 'tls.key': 'garbage'}),
    'CertificateUnfit',
    'tls.key cannot be read',
  ],
  [
    'with the key of another',
    secretOf({'tls.crt': CERTIFICATE, 'tls.key': OTHER_KEY}),
    'CertificateUnfit',
    'has a key (tls.key) that is not that of its certificate',
  ],
])('a Secret %s', (_what, secret, reason, words) => {
  const {problem} = judgeCertificate('cert', secret, [HOST, 'eu.admin.example.com'], NOW);
  expect(problem?.reason).toBe(reason);
  expect(problem?.message ?? '').toContain(words);
});

const rsa = generateKeyPairSync('rsa', {modulusLength: 2_048}).privateKey;
const ec = generateKeyPairSync('ec', {namedCurve: 'P-384'}).privateKey;

test.each([
  ['RSA', rsa.export({type: 'pkcs8', format: 'pem'})],
  ['RSA, as pkcs1', rsa.export({type: 'pkcs1', format: 'pem'})],
  ['an elliptic curve', ec.export({type: 'pkcs8', format: 'pem'})],
  ['an elliptic curve, as sec1', ec.export({type: 'sec1', format: 'pem'})],
  ['Ed25519', generateKeyPairSync('ed25519').privateKey.export({type: 'pkcs8', format: 'pem'})],
  [
    'a curve that is named before it',
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${OTHER_KEY}`,
  ],
])('a key of %s is read', (_what, key) => {
  const secret = secretOf({'tls.crt': CERTIFICATE, 'tls.key': String(key)});
  expect(judgeCertificate('cert', secret, [HOST], NOW).problem?.message).toContain('not that of its certificate');
});

/** In DER: an integer of so many bytes, and what lies in a sequence. */
const encoded = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const head = Buffer.from([tag, 0x82, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
};
const number = (bytes: number): Buffer => encoded(0x02, Buffer.alloc(bytes, 0x7f));

test('a key that takes hours to be read is not read', () => {
  const algorithm = encoded(
    0x30,
    Buffer.from('06072a8648ce380401', 'hex'),
    encoded(0x30, number(3_000), number(32), number(2_999)),
  );
  const der = encoded(0x30, Buffer.from('020100', 'hex'), algorithm, encoded(0x04, number(2_998)));
  const pem = (label: string): string =>
    `-----BEGIN ${label}-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;
  const fromMs = performance.now();
  for (const label of ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY', 'DSA PRIVATE KEY']) {
    const secret = secretOf({'tls.crt': CERTIFICATE, 'tls.key': pem(label)});
    expect(judgeCertificate('cert', secret, [HOST], NOW).problem?.message).toContain('tls.key cannot be read');
  }
  expect(performance.now() - fromMs).toBeLessThan(2_000);
});

test('a certificate for other hosts is named with those that it lacks and those that it has', () => {
  expect(judgeCertificate('cert', GOOD, [HOST, 'eu.example.org'], NOW).problem?.message).toBe(
    'Secret cert (spec.ingress.tls.secretName) is not for eu.example.org, but for DNS:eu.sync.example.com, DNS:ap.sync.example.com, DNS:*.admin.example.com',
  );
});

test.each([
  ['before its time', '2025-12-31T00:00:00Z', 'problem', 'is not valid before 2026-01-01T00:00:00.000Z'],
  ['two weeks before its end', '2125-12-20T00:00:00Z', 'warning', 'ends at 2126-01-01T00:00:00.000Z'],
  ['after its end', '2126-01-01T00:00:00Z', 'problem', 'is not valid any more since 2126-01-01T00:00:00.000Z'],
] as const)('a certificate %s', (_what, now, kind, words) => {
  expect(judgeCertificate('cert', GOOD, [HOST], new Date(now))[kind]?.message).toContain(words);
});

const SECURE = {region: 'eu-west', ingress: {host: HOST, tls: {mode: 'Secret', secretName: 'cert'}}};
const condition = (region: SimulatedRegion, type: string) =>
  region.status.conditions?.find((candidate) => candidate.type === type);

test('a region without its certificate is not ready, and is again when it comes', () => {
  const region = new SimulatedRegion(SECURE);
  region.certificate = known(GOOD);
  region.bringUp();
  expect(region.status).toMatchObject({phase: 'Ready', endpoints: {device: `https://${HOST}`}});
  region.certificate = known(undefined);
  region.pass();
  expect(condition(region, 'Ready')).toMatchObject({status: 'False', reason: 'CertificateMissing'});
  expect(region.status.phase).toBe('Degraded');
  region.certificate = known(GOOD);
  region.pass();
  expect(region.status.phase).toBe('Ready');
});

test('a certificate that ends soon is told once and keeps the region ready', () => {
  const region = new SimulatedRegion(SECURE);
  region.certificate = known(GOOD);
  region.bringUp();
  const address = {loadBalancer: {ingress: [{ip: '192.0.2.1'}]}};
  for (const name of region.names('Ingress')) region.set('Ingress', name, address);
  region.now = new Date('2125-12-20T00:00:00Z');
  region.pass();
  const before = JSON.stringify(region.status);
  region.now = new Date('2125-12-25T00:00:00Z');
  region.pass();
  expect(JSON.stringify(region.status)).toBe(before);
  expect(condition(region, 'RouteReady')).toMatchObject({status: 'True', reason: 'CertificateExpires'});
  expect(region.status.phase).toBe('Ready');
  expect(region.events.filter(({reason}) => reason === 'CertificateExpires')).toHaveLength(1);
});

test('a certificate that cannot be read leaves open whether the route works, and everything else is done', () => {
  const region = new SimulatedRegion(SECURE);
  region.certificate = {kind: 'unknown', why: 'secrets "cert" is forbidden'};
  region.bringUp();
  expect(region.status.phase).toBe('Ready');
  expect(condition(region, 'RouteReady')).toMatchObject({
    status: 'Unknown',
    reason: 'NotReadable',
    message: 'the API server does not tell of Secret cert: secrets "cert" is forbidden',
  });
  expect(region.next).toEqual({kind: 'after', delayMs: 20_000});
});

test('what is said of a certificate costs no status, however long it is', () => {
  const region = new SimulatedRegion(SECURE);
  region.certificate = {kind: 'unknown', why: 'ä'.repeat(40_000)};
  region.bringUp();
  expect(condition(region, 'RouteReady')?.message).toMatch(/^the API server does not tell of Secret cert: ä+\.\.\.$/);
  expect(Buffer.byteLength(condition(region, 'RouteReady')?.message ?? '')).toBeLessThanOrEqual(4_096);
});
