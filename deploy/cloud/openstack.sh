#!/bin/sh
# Workers as servers of OpenStack: the commands of a group for ocluster-autoscaler (docs/scaling.md), by the openstack program.
#
#     launch: /etc/ocluster/openstack.sh launch
#     list: /etc/ocluster/openstack.sh list
#     stop: /etc/ocluster/openstack.sh stop "$@"
#
# The image starts, by cloud-init or a unit, something like:
#
#     OCLUSTER_WORKER_ID=$(hostname) ocluster-worker --connect=/etc/ocluster/pool.cap --ephemeral --idle-timeout=10m --drain-on-sigterm=100s
#
# A server that has shut down is deleted at the next list, as it costs as much as one that runs. It was not run for real.
set -eu
# Names are of letters, digits and dashes, as they become host names, so the pool is in them by a checksum. Autoscalers of
# two schedulers in one project need a cluster each.
sum=$(printf '%s/%s' "${OCLUSTER_CLUSTER:-ocluster}" "$OCLUSTER_POOL" | cksum | cut -d ' ' -f 1)
prefix="ocluster-$OCLUSTER_GROUP-$sum"

case $1 in
launch)
  n=0
  while [ $n -lt "$OCLUSTER_COUNT" ]; do
    n=$((n + 1))
    name="$prefix-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')"
    openstack server create --image "${OCLUSTER_IMAGE:-ocluster-worker}" --flavor "${OCLUSTER_FLAVOR:-m1.large}" \
      --network "${OCLUSTER_NETWORK:-private}" -f value -c name "$name"
  done
  ;;
list)
  # Not in a pipe: a list that fails must not look like an empty one.
  list=$(openstack server list --name "^$prefix-" -f value -c Name -c Status)
  printf '%s\n' "$list" | while read -r name status; do
    case $name in
    "$prefix"-*-*) continue ;; # of a group whose name begins as this one's
    "$prefix"-????????) ;;
    *) continue ;;
    esac
    case $status in
    BUILD) echo "$name pending" ;;
    ACTIVE) echo "$name running" ;;
    SHUTOFF) openstack server delete "$name" >&2 || echo "cannot delete $name, which has shut down" >&2 ;;
    esac
  done
  ;;
stop)
  shift
  openstack server delete "$@"
  ;;
esac
