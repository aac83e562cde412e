import type {ApiToken} from '@pisync/core/devices/tokens';

/** Who is calling: the API token, sent itself or standing behind a session. */
export interface Principal extends ApiToken {
  /** sha256 of the token in hex: names it without being it. */
  readonly tokenHash: string;
  /** Set for a browser session: what a request that changes something must repeat in `X-CSRF-Token`. */
  readonly session?: {readonly id: string; readonly csrfToken: string; readonly expiresAtMs: number};
}
