import {run, runOk, type Finished} from './run.ts';
import {until} from './until.ts';

/** A Kubernetes object as kubectl prints it; tests look at a few fields by path and print the rest when they fail. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** kubectl in one namespace. */
export interface Kubectl {
  readonly namespace: string;
  /** Whatever arguments; the exit code is the caller's to look at. */
  run(args: readonly string[], stdin?: string): Promise<Finished>;
  /** Fails unless kubectl ends with 0. */
  ok(args: readonly string[], stdin?: string, timeoutMs?: number): Promise<string>;
  apply(yaml: string): Promise<string>;
  get(kind: string, name: string): Promise<KubeObject | undefined>;
  list(kind: string, selector?: string): Promise<readonly KubeObject[]>;
  /** Waits for `kubectl wait --for=...`. */
  wait(what: string, condition: string, timeoutMs: number): Promise<void>;
  /** The decoded value of one key of a Secret. */
  secret(name: string, key: string): Promise<string>;
}

export function kubectlIn(namespace: string): Kubectl {
  const argv = (args: readonly string[]): [string, ...string[]] => ['kubectl', '-n', namespace, ...args];
  const self: Kubectl = {
    namespace,
    run: (args, stdin) => run(argv(args), stdin === undefined ? {} : {stdin}),
    ok: (args, stdin, timeoutMs) =>
      runOk(argv(args), {...(stdin === undefined ? {} : {stdin}), ...(timeoutMs === undefined ? {} : {timeoutMs})}),
    apply: (yaml) => self.ok(['apply', '-f', '-'], yaml),
    async get(kind, name) {
      const text = await self.ok(['get', kind, name, '-o', 'json', '--ignore-not-found']);
      // kubectl prints the object itself when one name is asked for
      return text.trim() === '' ? undefined : (JSON.parse(text) as KubeObject);
    },
    async list(kind, selector) {
      const text = await self.ok(['get', kind, '-o', 'json', ...(selector === undefined ? [] : ['-l', selector])]);
      // kubectl prints a List when no name is given
      return (JSON.parse(text) as {readonly items: readonly KubeObject[]}).items;
    },
    async wait(what, condition, timeoutMs) {
      await self.ok(
        ['wait', what, `--for=${condition}`, `--timeout=${Math.ceil(timeoutMs / 1000)}s`],
        undefined,
        timeoutMs + 5000,
      );
    },
    async secret(name, key) {
      const secret = await until(`secret ${name}`, () => self.get('secret', name));
      const value = secret.data?.[key];
      if (value === undefined)
        throw new Error(`secret ${name} has no key ${key}, only ${Object.keys(secret.data ?? {}).join(', ')}`);
      return Buffer.from(value, 'base64').toString('utf8');
    },
  };
  return self;
}

/** Makes the namespace if it is not there, with the strictest Pod Security that Kubernetes has. */
export async function restrictedNamespace(name: string): Promise<Kubectl> {
  const cluster = kubectlIn('default');
  await cluster.apply(
    `{apiVersion: v1, kind: Namespace, metadata: {name: ${name}, labels: {pod-security.kubernetes.io/enforce: restricted}}}`,
  );
  return kubectlIn(name);
}
