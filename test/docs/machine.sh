# A machine for the documentation's commands: machine.sh DIRECTORY NODE ROOT
#
# Runs in namespaces of its own (machine.ts), so that the usual ports, paths and names can be used as they are written, and
# nothing is left of it. DIRECTORY is empty, and becomes a tmpfs. The loopback is all of its network: what the documentation
# wants from elsewhere is there. Docker Hub and registry.example.org are one registry, with a busybox in it;
# https://git.example.org has a project; $REPOSITORY is this one, and what `npm ci` would download is in every clone of it.
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
echo "127.0.0.1 localhost $(hostname) sched.example.org registry.example.org" > /etc/hosts

# The programs, in case that the commands do not install them; not those that the host may have.
rm -f /usr/local/bin/ocluster-* /usr/local/bin/obuilder
mkdir -p "$dir/bin" "$dir/home" "$dir/tmp" "$dir/here" "$dir/registry"
for name in ocluster-scheduler ocluster-worker ocluster-client ocluster-admin ocluster-autoscaler ocluster-web obuilder; do
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$node" "$root/dist/bin/$name.js" > "$dir/bin/$name"
  chmod +x "$dir/bin/$name"
done

cat > "$dir/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $dir/registry}}
http: {addr: "127.0.0.1:80"}
END
docker-registry serve "$dir/registry.yml" > "$dir/registry.log" 2>&1 &
"$node" "$root/scripts/busybox-image.mjs" "$dir/images"
until skopeo copy --quiet --insecure-policy --dest-tls-verify=false "oci:$dir/images/busybox:latest" \
  docker://127.0.0.1:80/library/busybox:latest 2> "$dir/skopeo.log"; do
  kill -0 $!
done

export DOCKER_HOST=unix://$dir/docker.sock
echo '{}' > "$dir/docker.json"
dockerd --config-file="$dir/docker.json" --data-root="$dir/docker" --exec-root="$dir/docker-exec" \
  --pidfile="$dir/docker.pid" --host="$DOCKER_HOST" --iptables=false --ip6tables=false --ip-forward=false \
  --storage-driver=overlay2 --registry-mirror=http://127.0.0.1:80 \
  --insecure-registry=registry.example.org > "$dir/docker.log" 2>&1 &
until grep -q "API listen on" "$dir/docker.log"; do
  kill -0 $!
  sleep 0.1
done

export HOME="$dir/home" TMPDIR="$dir/tmp" PATH="$PATH:$dir/bin" npm_config_prefix=/usr/local

# The same commit each time, as the documentation names it.
mkdir -p "$dir/git" "$dir/template/hooks"
export GIT_AUTHOR_DATE="2026-01-01 00:00 +0000" GIT_COMMITTER_DATE="2026-01-01 00:00 +0000"
git config --system user.name Alice
git config --system user.email alice@example.org
git config --system url.git://127.0.0.1/.insteadOf https://git.example.org/
git init --quiet "$dir/git/project.git"
printf 'FROM busybox\nCOPY greeting /\nRUN cat greeting\n' > "$dir/git/project.git/Dockerfile"
echo Hello from a project > "$dir/git/project.git/greeting"
git -C "$dir/git/project.git" add .
git -C "$dir/git/project.git" commit --quiet --message="A project"
git daemon --export-all --base-path="$dir/git" --listen=127.0.0.1 > "$dir/git.log" 2>&1 &
until git ls-remote --quiet https://git.example.org/project.git > "$dir/git.refs" 2>&1; do
  kill -0 $!
done

printf '#!/bin/sh\nln -s "%s" .\n' "$root/node_modules" > "$dir/template/hooks/post-checkout"
chmod +x "$dir/template/hooks/post-checkout"
git config --system init.templateDir "$dir/template"
git config --system safe.directory "*"
export REPOSITORY="$root"

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
