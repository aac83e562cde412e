#!/bin/bash
# First process of a namespace in which image archives are imported into a new containerd store.
#   image-store-init.sh STORE CONTAINERD_CONFIG ARCHIVE...
set -eu
store=$1 config=$2
shift 2
mount -t tmpfs -o mode=711 tmpfs /run/containerd
mount --bind "$store" /var/lib/containerd
containerd --config "$config" >"$store/import.log" 2>&1 &
daemon=$!
for _ in $(seq 100); do
  ctr version >/dev/null 2>&1 && break
  sleep 0.1
done
for archive in "$@"; do
  ctr --namespace k8s.io images import "$archive"
done
kill "$daemon"
wait "$daemon" || true
rm -f "$store/import.log"
