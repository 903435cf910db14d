#!/bin/sh
# Builds the C++ peer into the directory $1, unless it is there already and newer than everything it is made of.
# Needs Debian's capnproto, libcapnp-dev and g++. Several test files may start this at once: one builds, all wait.
set -eu
out=$1
cd "$(dirname "$0")"
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
if [ -x "$out/peer" ] && [ -z "$(find . ../../schema/ocluster.capnp "$(command -v capnp)" -maxdepth 1 -type f ! -name '*.ts' ! -name '*.md' -newer "$out/peer")" ]; then
  exit 0
fi
capnp compile -oc++:"$out" test.capnp
capnp compile -oc++:"$out" --src-prefix=../../schema ../../schema/ocluster.capnp
g++ -std=c++17 -O2 -Wall -I "$out" -o "$out/peer.new" peer.c++ "$out/test.capnp.c++" "$out/ocluster.capnp.c++" \
  -lkj-tls -lcapnp-rpc -lcapnp -lkj-async -lkj
mv "$out/peer.new" "$out/peer"
