import {z} from 'zod';
import {type Cluster} from '../kube/controller.ts';
import {type KubeObject} from '../kube/object.ts';
import {KINDS} from './kinds.ts';
import {type Problem} from './problems.ts';
import {type Region} from './region.ts';

const tlsSchema = z.object({
  ingress: z.object({
    enabled: z.boolean().default(true),
    tls: z.object({mode: z.literal('Secret'), secretName: z.string()}),
  }),
});

const KEYS = ['tls.crt', 'tls.key'];

/** Why `secret` does not serve as the certificate that it is named as. */
export const unfit = (name: string, secret: KubeObject | undefined): Problem | undefined => {
  if (secret === undefined) {
    return {
      reason: 'CertificateMissing',
      message: `Secret ${name} (spec.ingress.tls.secretName) does not exist; kubectl create secret tls ${name} --cert=FILE --key=FILE makes one`,
    };
  }
  const data = z.record(z.string(), z.string()).safeParse(secret['data']).data ?? {};
  const lacking = KEYS.filter((key) => (data[key] ?? '') === '');
  return lacking.length === 0
    ? undefined
    : {
        reason: 'CertificateUnfit',
        message: `Secret ${name} (spec.ingress.tls.secretName) is no certificate: it lacks ${lacking.join(' and ')}`,
      };
};

/**
 * What is wrong with the certificate of the region's Ingresses. An ingress controller gives an Ingress its address without one, too, and then answers every
 * device with a certificate that it does not trust. The Secret is a person's: it is looked at in every pass and not watched.
 */
export const certificateProblem = async (
  {spec, namespace}: Region,
  cluster: Pick<Cluster, 'read'>,
  signal: AbortSignal,
): Promise<Problem | undefined> => {
  const ingress = tlsSchema.safeParse(spec).data?.ingress;
  if (ingress?.enabled !== true) return undefined;
  const name = ingress.tls.secretName;
  return unfit(name, await cluster.read({...KINDS.secret, namespace, name}, signal, 'live'));
};
