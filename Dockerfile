# One image for both process types: web as it is, a worker with `--no-healthcheck` (it has no port) and the
# command `node --import tsx src/worker.ts`. There is no build step: tsx runs the TypeScript sources.

FROM node:20-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:20-bookworm-slim
# tini reaps orphans and passes SIGTERM on, which node as process 1 would not take by default.
RUN apt-get update \
  && apt-get install -y --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
# Where the evidence goes unless EVIDENCE_STORE says otherwise; a volume put here inherits the owner.
RUN install -d -o node -g node -m 700 /data /data/evidence
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY . .
USER node
# Loopback would be the container's own: what is reachable from outside is up to the published ports.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data EVIDENCE_STORE=/data/evidence
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--"]
CMD ["node", "--import", "tsx", "src/web.ts"]
