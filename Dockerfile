# uWebSockets.js' binaries for Node 22 and later need glibc 2.38: trixie has 2.41, bookworm is too old.
FROM node:24-trixie AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
# Compiles, installs what production needs, and prunes the binaries of other platforms and other versions of Node.
RUN --mount=type=cache,target=/root/.npm scripts/image.sh /image

FROM node:24-trixie-slim
ENV NODE_ENV=production DATA_DIR=/data METRICS_HOST=0.0.0.0
WORKDIR /app
# The only place that is written to: the tree itself works on a read-only file system.
RUN install --directory --owner=node --group=node --mode=0700 /data
COPY --from=build /image ./
# The user `node`, as a number: Kubernetes' runAsNonRoot can check no name.
USER 1000:1000
VOLUME /data
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "dist/src/health-check.js"]
CMD ["node", "dist/src/main.js"]
