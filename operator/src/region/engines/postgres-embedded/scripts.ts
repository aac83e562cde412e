import {DATABASE, USER} from '../../names.ts';
import {SQL_QUOTED} from '../shell-quoting.ts';

/** What the programs of a shard's pod find where. */
export interface ShardPaths {
  /** The volume. PostgreSQL's own folder lies in it: the root of a volume may hold other things, e.g. `lost+found`. */
  readonly volume: string;
  readonly data: string;
  readonly socket: string;
  /** Folder with postgresql.conf, pg_hba.conf and these scripts. */
  readonly config: string;
  /** Folder with the file `password`. */
  readonly secret: string;
  /** Where the kubelet reads why a container ended; what is written there is in the pod's status, and so in the region's. */
  readonly lastWords: string;
  /** Folders of the server's programs, as a pattern. Debian keeps them out of PATH. */
  readonly programs: string;
}

const findPrograms = ({programs}: ShardPaths): string =>
  `for bin in ${programs}; do [ -d "$bin" ] && PATH="$bin:$PATH"; done`;

export const startScript = (paths: ShardPaths): string => `#!/bin/sh
# Makes the database on the first start, sets the user's password when it changed, and becomes the server.
set -eu
umask 077
${findPrograms(paths)}
# Without exit_on_error the single-user mode passes over an error and ends as if all had been done.
volume=${paths.volume}
data=${paths.data}
conf=${paths.config}/postgresql.conf

# Says why in the log and where the region's status finds it.
refuse() {
  printf 'pisync: %s\\n' "$1" >&2
  printf '%s' "$1" > ${paths.lastWords} 2>/dev/null || true
  exit 1
}

if [ -e "$data" ] && [ ! -O "$data" ]; then
  refuse "$data belongs to another user than $(id -u), as which this pod runs; run it as before, or chown the volume"
fi

# A database is only ever made on an empty volume. Its parts are built beside their place and moved there when complete, so a start that was interrupted
# begins anew; whatever else is on the volume is somebody's data. Names with a dot in front are a storage system's (snapshots).
if [ ! -s "$data/PG_VERSION" ]; then
  found=$(cd "$volume" && for name in *; do
    case $name in '*' | lost+found | "\${data##*/}.new") continue ;; esac
    if [ "$name" = "\${data##*/}" ] && rmdir "$name" 2>/dev/null; then continue; fi
    printf '%s ' "$name"
  done)
  if [ -n "$found" ]; then
    refuse "the volume is not empty but $data/PG_VERSION is missing or empty; nothing was touched. Restore the volume completely, or empty it to begin anew. Found: $found"
  fi
  rm -rf "$data.new"
  initdb --pgdata="$data.new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums \\
    --auth-local=trust --auth-host=scram-sha-256 >/dev/null
  postgres --single -j -D "$data.new" -c exit_on_error=on postgres >/dev/null <<SQL
create role ${USER} login;

create database ${DATABASE} owner ${USER};

SQL
  mv "$data.new" "$data"
  # What is acknowledged from now on must not be found under the old name, which is removed, when the power fails.
  sync "$volume"
fi

# The server itself says so too, but only in its log.
made=$(cat "$data/PG_VERSION")
version=$(postgres --version | sed 's/^[^0-9]*\\([0-9]*\\).*/\\1/')
if [ "$made" != "$version" ]; then
  refuse "the data is of PostgreSQL $made, the image has $version; name an image of PostgreSQL $made"
fi
if ! said=$(postgres -D "$data" -C config_file -c config_file="$conf" 2>&1); then
  refuse "the settings are wrong: $(printf '%s' "$said" | sed -n 's/^.*LOG:  *//p' | grep -v '^skipping' | head -n 3 | tr '\\n' ';')"
fi

# The stamp keeps a restart from writing, and the password itself out of the volume.
password=$(cat ${paths.secret}/password)
stamp=$(printf '%s' "$password" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$volume/password.stamp" 2>/dev/null || true)" != "$stamp" ]; then
  printf "alter role ${USER} password '%s';\\n\\n" "$(printf '%s' "$password" | ${SQL_QUOTED})" | postgres --single -j -D "$data" -c config_file="$conf" -c exit_on_error=on postgres >/dev/null
  printf '%s' "$stamp" > "$volume/password.stamp"
fi
unset password

exec postgres -D "$data" -c config_file="$conf" -c hba_file=${paths.config}/pg_hba.conf
`;

export const stopScript = (paths: ShardPaths): string => `#!/bin/sh
# SIGTERM alone would wait for every client to leave; fast ends their sessions and writes a checkpoint.
${findPrograms(paths)}
pg_ctl stop --pgdata=${paths.data} --mode=fast --wait --timeout=100
`;

export const readyScript = (paths: ShardPaths): string => `#!/bin/sh
${findPrograms(paths)}
exec pg_isready --quiet --host=${paths.socket} --username=${USER} --dbname=${DATABASE} --timeout=3
`;
