/** Who a device is. It makes its own secrets, so that a repeated enrolment is the same one. */

/** A secret, and what a region gave for it. */
export interface Enrolled {
  /** 32 random bytes in base64url. */
  readonly secret: string;
  readonly deviceId: string;
  readonly credential: string;
  /** As issued with the credential. The outbox's is the one that counts. */
  readonly epoch: string;
  /** The region that gave it, by its public name. */
  readonly region: string;
}

export interface Identity {
  readonly hardwareId: string;
  /** What is in use. It goes only after the first success under `pending`. */
  readonly current?: Enrolled;
  /** What shall take its place: a secret that is to be enrolled, or one that is and was not used yet. */
  readonly pending?: {readonly secret: string} | Enrolled;
}

export const isEnrolled = (one: {readonly secret: string} | Enrolled | undefined): one is Enrolled =>
  one !== undefined && 'credential' in one;
