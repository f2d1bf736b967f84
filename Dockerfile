# One image for both process types. It runs a web process. For a worker, use `--no-healthcheck` (it has no port) and the
# command `node dist/src/worker.js`.

# A full version; add a digest (node:…@sha256:…) to pin the exact image.
ARG NODE_IMAGE=node:20.20.2-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/sdk/package.json packages/sdk/
COPY portal/package.json portal/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN script/build

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages/sdk/package.json packages/sdk/
COPY portal/package.json portal/
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund

FROM ${NODE_IMAGE}
# tini reaps orphans and forwards SIGTERM, which node ignores as process 1.
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
# The default evidence store; a volume mounted here inherits the owner.
RUN install -d -o node -g node -m 700 /data /data/evidence
WORKDIR /app
COPY package.json ./
COPY bin ./bin
COPY --from=packages /app/node_modules ./node_modules
# node_modules links to it.
COPY packages/sdk/package.json packages/sdk/
COPY --from=build /app/packages/sdk/dist ./packages/sdk/dist
COPY --from=build /app/dist ./dist
COPY --from=build /app/portal/dist ./portal/dist
USER node
# A young generation of 16 MB instead of 32 (docs/performance.md#memory-of-the-processes).
ENV NODE_OPTIONS=--max-semi-space-size=8
# Loopback would be that of the container; the published ports decide what is reachable from outside.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data EVIDENCE_STORE=/data/evidence
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--"]
CMD ["node", "dist/src/web.js"]
