# A machine for the documentation's commands: machine.sh DIRECTORY NODE ROOT
#
# Runs in namespaces of its own (machine.ts), so that the usual ports, paths and names can be used as they are written, and
# nothing is left of it. DIRECTORY is empty, and becomes a tmpfs. It has a Docker engine, for which Docker Hub is a
# registry on the loopback, with a busybox in it.
set -e
dir=$1 node=$2 root=$3
ip link set lo up
mount -t tmpfs tmpfs "$dir"

# Writable copies of the places that the documentation writes to.
for place in etc var/lib var/cache usr/local; do
  mkdir -p "$dir/upper/$place" "$dir/work/$place"
  mount -t overlay overlay -o "lowerdir=/$place,upperdir=$dir/upper/$place,workdir=$dir/work/$place" "/$place"
done
# Stores of layers are overlays, which cannot be on top of one.
for place in /var/cache/obuilder /var/lib/ocluster-worker; do
  mkdir -p $place
  mount -t tmpfs tmpfs $place
done
echo "127.0.0.1 localhost $(hostname) sched.example.org" > /etc/hosts

mkdir -p "$dir/bin" "$dir/home" "$dir/tmp" "$dir/here" "$dir/registry"
for name in ocluster-scheduler ocluster-worker ocluster-client ocluster-admin obuilder; do
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$node" "$root/dist/cli/$name.js" > "$dir/bin/$name"
  chmod +x "$dir/bin/$name"
done

cat > "$dir/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $dir/registry}}
http: {addr: "127.0.0.1:5000"}
END
docker-registry serve "$dir/registry.yml" > "$dir/registry.log" 2>&1 &
"$node" "$root/scripts/busybox-image.mjs" "$dir/images"
until skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$dir/images/busybox:latest" \
  docker://127.0.0.1:5000/library/busybox:latest 2> "$dir/skopeo.log"; do
  kill -0 $!
done

export DOCKER_HOST=unix://$dir/docker.sock
echo '{}' > "$dir/docker.json"
dockerd --config-file="$dir/docker.json" --data-root="$dir/docker" --exec-root="$dir/docker-exec" \
  --pidfile="$dir/docker.pid" --host="$DOCKER_HOST" --iptables=false --ip6tables=false --ip-forward=false \
  --storage-driver=overlay2 --registry-mirror=http://127.0.0.1:5000 > "$dir/docker.log" 2>&1 &
until grep -q "API listen on" "$dir/docker.log"; do
  kill -0 $!
  sleep 0.1
done

export HOME="$dir/home" TMPDIR="$dir/tmp" PATH="$dir/bin:$PATH"
cd "$dir/here"
echo "@ready"
# Each line names a file with commands; what they print, and at last their status, comes back after that name.
while read -r file; do
  {
    status=0
    bash -e -o pipefail "$file" < /dev/null || status=$?
    echo "@done $status"
  } 2>&1 | sed -u "s|^|$file |" &
done
