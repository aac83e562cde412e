#!/bin/sh
# Prints the path of the pinned Node.js (.node-version), after fetching it into the cache where it is not there yet.
# Everything else is written in TypeScript, which Node.js runs from version 24 on; this works with any Node.js from 20 on.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
known="$root/scripts/bootstrap/node-integrity.txt"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "PiSync needs Node.js 20 or newer with npm on the PATH, and finds none. It fetches the exact version that it runs on by itself." >&2
  exit 1
fi
version=$(cat "$root/.node-version")
platform=$(node -p '`${process.platform}-${process.arch}`')
integrity=$(awk -v version="$version" -v platform="$platform" '$1 == version && $2 == platform {print $3}' "$known")
if [ -z "$integrity" ]; then
  # No package that this repository vouches for: the machine's own Node.js of that release line will do.
  if [ "$(node -p 'process.versions.node.split(".")[0]')" = "${version%%.*}" ]; then
    command -v node
    exit 0
  fi
  echo "PiSync runs on Node.js ${version%%.*} and has no package of it for $platform: install Node.js $version by hand and put it first on the PATH." >&2
  exit 1
fi
case ${XDG_CACHE_HOME:-} in
  /*) cache="$XDG_CACHE_HOME/pisync" ;;
  *) cache="${HOME:?is not set, and neither is XDG_CACHE_HOME: one of them must name a folder for what is fetched}/.cache/pisync" ;;
esac
name="node-$platform"
target="$cache/node-$version"
if [ ! -x "$target/bin/node" ]; then
  echo "Fetching Node.js $version into $target" >&2
  partial="$target.partial.$$"
  trap 'rm -rf "$partial"' EXIT
  if ! mkdir -p "$partial"; then
    echo "What is fetched is kept in $cache: make that writable, or set XDG_CACHE_HOME to a folder that is." >&2
    exit 1
  fi
  # `npm ci` takes a package only when it has the integrity that the lock file says.
  printf '{"dependencies":{"%s":"%s"}}' "$name" "$version" >"$partial/package.json"
  printf '{"lockfileVersion":3,"packages":{"":{"dependencies":{"%s":"%s"}},"node_modules/%s":{"version":"%s","integrity":"%s"}}}' \
    "$name" "$version" "$name" "$version" "$integrity" >"$partial/package-lock.json"
  if ! npm ci --prefix "$partial" --no-audit --no-fund --ignore-scripts --loglevel=error >&2; then
    echo "npm could not fetch $name $version as scripts/bootstrap/node-integrity.txt knows it: is the registry reachable (npm config get registry), and honest?" >&2
    exit 1
  fi
  rm -rf "$target"
  mv "$partial/node_modules/$name" "$target"
fi
echo "$target/bin/node"
