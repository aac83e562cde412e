import {fingerprint} from '../kube/fingerprint.ts';

/** 64 bits of SHA-256, as hex: enough to tell configurations apart, too little to be worth attacking. */
export const hashOf = (value: unknown): string => fingerprint(value).slice(0, 16);
