#!/bin/sh
# Builds the load generator as $1/load, unless it is there and newer than its sources. Needs Debian's capnproto, libcapnp-dev and g++.
set -eu
out=$1
cd "$(dirname "$0")"
mkdir -p "$out"
if [ -x "$out/load" ] && [ -z "$(find load.c++ build.sh ../../test/interop/network.h ../../schema/ocluster.capnp -newer "$out/load")" ]; then
  exit 0
fi
capnp compile -oc++:"$out" --src-prefix=../../schema ../../schema/ocluster.capnp
g++ -std=c++17 -O2 -Wall -I "$out" -o "$out/load.new" load.c++ "$out/ocluster.capnp.c++" \
  -lkj-tls -lcapnp-rpc -lcapnp -lkj-async -lkj
mv "$out/load.new" "$out/load"
