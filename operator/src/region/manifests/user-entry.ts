/**
 * Some programs ask what their user is called, and do not run when nobody knows (initdb, a server in single-user mode). An image knows its own user only, so a
 * container that runs as another one finds an /etc/passwd with that entry: written by a container before it, the only one who knows which id the
 * platform has given.
 */

const FOLDER = '/run/user-entry';
const VOLUME = 'user-entry';

/** What that container does, and where. `root` stays: programs look it up, too. */
export const USER_ENTRY = {
  folder: FOLDER,
  script: `printf 'root:x:0:0:root:/root:/bin/sh\\npisync:x:%s:%s:PiSync:/tmp:/bin/sh\\n' "$(id -u)" "$(id -g)" > ${FOLDER}/passwd`,
} as const;

export const userEntry = (container: {
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly resources: object;
  readonly securityContext: object;
}): {
  readonly initContainers: readonly object[];
  readonly mounts: readonly object[];
  readonly volumes: readonly object[];
} => ({
  initContainers: [
    {
      name: VOLUME,
      ...container,
      command: ['/bin/sh', '-c', USER_ENTRY.script],
      volumeMounts: [{name: VOLUME, mountPath: FOLDER}],
    },
  ],
  mounts: [{name: VOLUME, mountPath: '/etc/passwd', subPath: 'passwd', readOnly: true}],
  volumes: [{name: VOLUME, emptyDir: {}}],
});
