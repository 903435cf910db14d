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
prefix="ocluster-$OCLUSTER_GROUP"

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
  openstack server list --name "^$prefix-" -f value -c Name -c Status | while read -r name status; do
    case $status in
    BUILD) echo "$name pending" ;;
    ACTIVE) echo "$name running" ;;
    SHUTOFF) openstack server delete "$name" ;;
    esac
  done
  ;;
stop)
  shift
  openstack server delete "$@"
  ;;
esac
