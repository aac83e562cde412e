#!/bin/sh
# Prints the path of the pinned Node.js, after fetching it into the cache where it is not there yet.
# Everything else is written in TypeScript, which Node.js runs from version 24 on; this works with any Node.js from 20 on.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "PiSync needs Node.js 20 or newer with npm on the PATH, and finds none. It fetches the exact version that it runs on by itself." >&2
  exit 1
fi
# shellcheck disable=SC2046 # three words without spaces: package, version, folder of the cache
set -- $(node -e '
  const {optionalDependencies} = require(process.argv[1]);
  const name = `node-${process.platform}-${process.arch}`;
  const version = optionalDependencies[name];
  if (!version) {
    console.error(`PiSync is developed on ${Object.keys(optionalDependencies).join(", ")}; this machine is ${name}.`);
    process.exit(1);
  }
  console.log(name, version);
' "$root/package.json")
name=$1 version=$2
case ${XDG_CACHE_HOME:-} in
  /*) cache="$XDG_CACHE_HOME/pisync" ;;
  *) cache="${HOME:?is not set, and neither is XDG_CACHE_HOME: one of them must name a folder for what is fetched}/.cache/pisync" ;;
esac
target="$cache/node-$version"
if [ ! -x "$target/bin/node" ]; then
  echo "Fetching Node.js $version into $target" >&2
  partial="$target.partial.$$"
  trap 'rm -rf "$partial"' EXIT
  if ! mkdir -p "$partial"; then
    echo "What is fetched is kept in $cache: make that writable, or set XDG_CACHE_HOME to a folder that is." >&2
    exit 1
  fi
  if ! npm install --prefix "$partial" --no-save --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error "$name@$version" >&2; then
    echo "npm could not fetch $name $version: is the registry reachable (npm config get registry)?" >&2
    exit 1
  fi
  rm -rf "$target"
  mv "$partial/node_modules/$name" "$target"
fi
echo "$target/bin/node"
