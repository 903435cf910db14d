# The scheduler, with the programs of users and administrators:
#
#     docker build -t ocluster-scheduler .
#
# and a testbed of simulated workers and clients (the profile "stress" of deploy/compose.yml):
#
#     docker build -t ocluster-stress --target=stress .
#
# BASE: a Debian with Node 20 or later under /usr/local, as the official images have it.
ARG BASE=docker.io/library/node:22.20.0-trixie-slim

# This stage is the same in Dockerfile.worker, so that both images share its layers.
FROM ${BASE} AS build
# For better-sqlite3, on platforms that it has no ready-made addon for; elsewhere --build-arg COMPILER= does without.
ARG COMPILER="g++ make python3"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ${COMPILER} \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/ocluster
COPY package.json package-lock.json ./
# The headers for it are with Node already. A registry of one's own: --secret id=npmrc,src=$HOME/.npmrc
RUN --mount=type=cache,target=/root/.npm \
    --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm_config_nodedir=/usr/local npm_package_config_node_gyp_nodedir=/usr/local \
    npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN node scripts/build.mjs

FROM build AS programs
COPY LICENSE ./
COPY deploy/healthcheck.mjs ./
# Of the optional packages, only better-sqlite3-v13 is of use, so they are not omitted, and the others go by name.
RUN npm prune --omit=dev --omit=peer --no-audit --no-fund \
 && rm -rf node_modules/better-sqlite3*/deps node_modules/better-sqlite3/build/Release/obj* \
    node_modules/better-sqlite3-v13/prebuilds/darwin-* node_modules/better-sqlite3-v13/prebuilds/linuxmusl-* \
    node_modules/better-sqlite3-v13/prebuilds/win32-* \
    node_modules/buildcheck node_modules/cpu-features node_modules/nan node_modules/node-addon-api node_modules/typescript \
 && rm -rf scripts src tsconfig.json tsconfig.build.json package-lock.json

FROM build AS stress-program
COPY bench bench
RUN npx esbuild bench/stress.ts --outfile=stress.mjs --bundle --format=esm --platform=node \
    --target=node20 --packages=external --log-level=warning

FROM ${BASE} AS scheduler
RUN groupadd --gid 9000 ocluster \
 && useradd --uid 9000 --gid 9000 --home-dir /var/lib/ocluster-scheduler ocluster \
 && install -d -o ocluster -g ocluster -m 0700 /capnp-secrets /var/lib/ocluster-scheduler
COPY --from=programs /opt/ocluster /opt/ocluster
RUN cd /usr/local/bin \
 && for name in scheduler admin autoscaler client; do \
      ln -s /opt/ocluster/dist/bin/ocluster-$name.js ocluster-$name; \
    done
ENV NODE_ENV=production
USER ocluster
WORKDIR /var/lib/ocluster-scheduler
VOLUME ["/capnp-secrets", "/var/lib/ocluster-scheduler"]
EXPOSE 9000 9090
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s \
  CMD ["node", "/opt/ocluster/healthcheck.mjs", "scheduler"]
ENTRYPOINT ["ocluster-scheduler"]
CMD ["--help"]

FROM scheduler AS stress
COPY --from=stress-program /opt/ocluster/stress.mjs /opt/ocluster/stress.mjs
WORKDIR /tmp
HEALTHCHECK NONE
ENTRYPOINT ["node", "/opt/ocluster/stress.mjs"]
CMD []

FROM scheduler
