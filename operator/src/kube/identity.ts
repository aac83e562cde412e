/** How a controller signs what it makes, so that its objects can be told from everybody else's. */
export interface Identity {
  /** Field manager of server-side apply, and value of `app.kubernetes.io/managed-by`. */
  readonly manager: string;
  /** Label that names the resource an object belongs to, e.g. `example.org/shop`. */
  readonly resourceLabel: string;
  /** Annotation that holds the hash of what was last applied, e.g. `example.org/applied`. */
  readonly appliedAnnotation: string;
  /** Annotation on somebody else's object that lets us take it over, e.g. `example.org/adopt`: its value is the resource's name. */
  readonly adoptAnnotation: string;
  /** Annotation on a resource that names the operator that looks after it (claim.ts), e.g. `example.org/operator`. */
  readonly holderAnnotation: string;
}

export const MANAGED_BY = 'app.kubernetes.io/managed-by';
