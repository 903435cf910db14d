#!/bin/sh
# Workers as spot instances of AWS: the commands of a group for ocluster-autoscaler (docs/scaling.md), by the aws program.
#
#     launch: /etc/ocluster/aws.sh launch
#     list: /etc/ocluster/aws.sh list
#     stop: /etc/ocluster/aws.sh stop "$@"
#
# The launch template has the image, the machine's type, a role without rights, and as user data something like:
#
#     #!/bin/sh
#     token=$(curl -sX PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60')
#     export OCLUSTER_WORKER_ID=$(curl -s -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/instance-id)
#     ocluster-worker --connect=/etc/ocluster/pool.cap --ephemeral --idle-timeout=10m --eviction-check='…' --drain-on-sigterm=100s
#     shutdown -h now
#
# with "terminate" as what a shutdown does. It was not run for real: it takes an account.
set -eu
template=${OCLUSTER_LAUNCH_TEMPLATE:-ocluster-worker}
# Another pool may have a group of the same name. Autoscalers of two schedulers in one account need a cluster each.
cluster=${OCLUSTER_CLUSTER:-ocluster}

case $1 in
launch)
  ids=$(aws ec2 run-instances --launch-template "LaunchTemplateName=$template" \
    --instance-market-options MarketType=spot --count "1:$OCLUSTER_COUNT" \
    --tag-specifications "ResourceType=instance,Tags=[{Key=ocluster-cluster,Value=$cluster},{Key=ocluster-pool,Value=$OCLUSTER_POOL},{Key=ocluster-group,Value=$OCLUSTER_GROUP}]" \
    --query 'Instances[].InstanceId' --output text)
  printf '%s\n' "$ids" | tr '\t' '\n'
  ;;
list)
  aws ec2 describe-instances --filters "Name=tag:ocluster-cluster,Values=$cluster" \
    "Name=tag:ocluster-pool,Values=$OCLUSTER_POOL" "Name=tag:ocluster-group,Values=$OCLUSTER_GROUP" "Name=instance-state-name,Values=pending,running" \
    --query 'Reservations[].Instances[].[InstanceId,State.Name]' --output text
  ;;
stop)
  shift
  aws ec2 terminate-instances --instance-ids "$@" --query 'length(TerminatingInstances)'
  ;;
esac
