/** A file tree made of Debian packages: the recipe, from which its image's tag is computed. */
export interface DebianRoot {
  /** Last part of the image's name. */
  readonly name: string;
  /**
   * mmdebstrap's variant: `essential` has a shell and the usual tools, `extract` only unpacks what is named and its
   * dependencies, without running any package's scripts.
   */
  readonly variant: 'essential' | 'extract';
  readonly packages: readonly string[];
  /** Glob patterns of files that are never unpacked (dpkg's path-exclude). */
  readonly excluded: readonly string[];
  /**
   * Shell commands, `$1` being the tree. `extract` run when the essential packages (in variant `extract`: all) are unpacked,
   * `essential` before the others are configured, `customize` at the end. Variant `extract` knows only the first.
   */
  readonly hooks: {
    readonly extract?: readonly string[];
    readonly essential?: readonly string[];
    readonly customize?: readonly string[];
  };
}

/** The Debian release under every image of ours. PostgreSQL 17, RabbitMQ 4.0 and Redis 8.0 are its versions of the servers. */
const SUITE = 'trixie';

/** Nobody reads manuals in a container. Licences stay. */
const DOCUMENTATION = [
  '/usr/share/man/*',
  '/usr/share/info/*',
  '/usr/share/lintian/*',
  '/usr/share/locale/*',
  '/usr/share/i18n/*',
  '/usr/share/doc/*/changelog*',
  '/usr/share/doc/*/NEWS*',
  '/usr/share/doc/*/README*',
  '/usr/share/doc/*/examples/*',
];

/**
 * PostgreSQL, RabbitMQ and Redis in one tree: they share most of their libraries, and three nodes unpack it only once.
 *
 * It keeps the habits of the official images, so that the same manifests run both: uid 999 with a passwd entry for each server
 * (initdb refuses a uid without one), and the servers' own programs on PATH.
 */
export const DATA_ROOT: DebianRoot = {
  name: 'pisync-data',
  variant: 'essential',
  packages: ['postgresql-17', 'rabbitmq-server', 'redis-server'],
  excluded: [
    ...DOCUMENTATION,
    // The JIT compiler is 150 MB and PostgreSQL does without it when its library is not there.
    '/usr/lib/*/libLLVM*',
    '/usr/lib/*/libz3*',
    '/usr/lib/postgresql/*/lib/bitcode/*',
    '/usr/lib/postgresql/*/lib/llvmjit*',
  ],
  hooks: {
    essential: [
      // Before the packages make users of their own choosing.
      'echo "postgres:x:999:" >>"$1/etc/group"',
      'echo "postgres:x:999:999::/var/lib/postgresql:/bin/sh" >>"$1/etc/passwd"',
      'echo "rabbitmq:x:999:999::/var/lib/rabbitmq:/bin/sh" >>"$1/etc/passwd"',
      'echo "redis:x:999:999::/var/lib/redis:/bin/sh" >>"$1/etc/passwd"',
      'echo "rabbitmq:x:999:" >>"$1/etc/group"; echo "redis:x:999:" >>"$1/etc/group"',
      // Debian would make a database cluster while it installs.
      'mkdir -p "$1/etc/postgresql-common"; echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"',
    ],
    customize: [
      // Debian's own wrappers need these; the servers do not, and their real programs come first on PATH.
      'rm -rf "$1"/usr/share/perl "$1"/usr/share/perl5 "$1"/usr/lib/*/perl "$1"/usr/lib/*/libperl.so*',
      'rm -rf "$1"/usr/lib/python3* "$1"/usr/bin/python3* "$1"/usr/share/python3',
      'rm -rf "$1"/var/lib/dpkg/info/*.md5sums "$1"/var/log/*.log "$1"/var/log/apt "$1"/var/cache/*',
    ],
  },
};

/** What the Node.js binary needs to start, and nothing else: no shell, no package manager. */
export const NODE_ROOT: DebianRoot = {
  name: 'pisync-base',
  variant: 'extract',
  packages: ['base-files', 'libc6', 'libstdc++6', 'libgcc-s1', 'tzdata'],
  excluded: [
    ...DOCUMENTATION,
    // Character sets other than UTF-8, and the profiler's audit libraries: Node.js brings its own ICU.
    '/usr/lib/*/gconv/*',
    '/usr/lib/*/audit/*',
    '/usr/share/zoneinfo/right/*',
  ],
  hooks: {
    extract: [
      'echo "root:x:0:0:root:/root:/usr/sbin/nologin" >"$1/etc/passwd"; echo "root:x:0:" >"$1/etc/group"',
      'echo "pisync:x:10001:10001::/app:/usr/sbin/nologin" >>"$1/etc/passwd"; echo "pisync:x:10001:" >>"$1/etc/group"',
      'mkdir -p "$1/app" "$1/usr/local/bin"',
    ],
  },
};

/** The command that writes the tree as a tar archive. `mirror` is a Debian mirror's address; without it Debian's own. */
export function mmdebstrapCommand(root: DebianRoot, tar: string, mirror?: string): [string, ...string[]] {
  return [
    'mmdebstrap',
    '--mode=root',
    `--variant=${root.variant}`,
    `--include=${root.packages.join(',')}`,
    ...root.excluded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    ...(root.hooks.extract ?? []).map((hook) => `--extract-hook=${hook}`),
    ...(root.hooks.essential ?? []).map((hook) => `--essential-hook=${hook}`),
    ...(root.hooks.customize ?? []).map((hook) => `--customize-hook=${hook}`),
    SUITE,
    tar,
    ...(mirror === undefined ? [] : [mirror]),
  ];
}
