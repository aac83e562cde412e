# The operator. The context is what scripts/images bundles: app/*.mjs.
ARG BASE_IMAGE=docker.io/library/node:24-trixie-slim
FROM ${BASE_IMAGE}
# Most of what the operator reads is garbage at once: a young generation of 4 MiB instead of 16 costs it nothing and saves 20 MB.
ENV NODE_ENV=production NODE_OPTIONS=--max-semi-space-size=4
COPY app /app
WORKDIR /app
USER 10001:10001
EXPOSE 9090
ENTRYPOINT ["node", "/app/main.mjs"]
