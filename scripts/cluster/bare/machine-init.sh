#!/bin/bash
# First process of a machine (the control plane or a node): gives it its own view of the file system, then keeps its components running.
#   machine-init.sh FOLDER LOG_FOLDER MACHINE
# FOLDER/mounts      lines of arguments for mount(8), in order
# FOLDER/components  a file for each component, an argument a line
# FOLDER/go          appears when the machine has been moved into its cgroups
set -eu
folder=$1 logs=$2 machine=$3

until [ -e "$folder/go" ]; do sleep 0.02; done
if grep -q ' / / .* shared:' /proc/self/mountinfo; then
  echo "the machine's mounts would appear on the host" >&2
  exit 1
fi

# Mounts that others made under the folders that a node has for itself.
awk '$5 ~ "^/(run/containerd|run/netns|var/lib/containerd|var/lib/kubelet|var/lib/cni)(/|$)" {print $5}' /proc/self/mountinfo |
  tac | while read -r inherited; do umount -l "$inherited" || true; done

hostname "pisync-$machine"
while read -r line; do
  target=${line##* }
  mkdir -p "$target" 2>/dev/null || true
  # shellcheck disable=SC2086 # a line is a list of arguments
  mount $line
done <"$folder/mounts"
mount --make-rshared /

# Restarts what ends, as a service manager would.
keep_running() {
  while :; do
    "$@" </dev/null || echo "$1 ended with code $?, starting it again"
    sleep 0.3
  done
}

for file in "$folder"/components/*; do
  mapfile -t argv <"$file"
  keep_running "${argv[@]}" >>"$logs/$machine-${file##*/}.log" 2>&1 &
done

# Reaps orphans for ever: that is a first process's duty.
while :; do wait || true; sleep 1; done
