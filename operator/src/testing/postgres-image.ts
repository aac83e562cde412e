export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The beginning of a command of sh that runs as this user with the root folder `$tree`, whether or not its /etc/passwd knows the user. */
export const asUser = ({uid, gid}: User): string => `chroot --userspec=+${uid}:+${gid} --groups= "$tree"`;

/**
 * The argv that runs a program as a container of the image that shards run from would: in its file tree, which `make test` unpacks, with mounts of its own. Of this
 * machine it sees /dev and /tmp. `prepare` are commands of sh that run before, as root of this machine; the image's root folder is `$tree`.
 *
 * @throws Error where there is no such tree, and where we may not enter it
 */
export const inPostgresImage = (
  user: User,
  command: readonly string[],
  prepare = '',
): readonly [string, ...string[]] => {
  const tree = process.env['PISYNC_TEST_POSTGRES_TREE'];
  if (tree === undefined)
    throw new Error(
      'PISYNC_TEST_POSTGRES_TREE is not set: it names the file tree of the image that shards run from; `node scripts/test/main.ts --only integration` makes one',
    );
  if (process.getuid?.() !== 0) throw new Error('mounts and another root folder need root, and we are not');
  const script = `set -e; tree=$0
    for folder in /dev /tmp; do mount --rbind "$folder" "$tree$folder"; done
    ${prepare}
    exec ${asUser(user)} "$@"`;
  return ['unshare', '--mount', 'sh', '-c', script, tree, ...command];
};
