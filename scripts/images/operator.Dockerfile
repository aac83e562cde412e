# The operator. The context is what scripts/images bundles: app/*.mjs.
ARG BASE_IMAGE=docker.io/library/node:24-trixie-slim
FROM ${BASE_IMAGE}
ENV NODE_ENV=production
COPY app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8080 9090
ENTRYPOINT ["node", "/app/main.mjs"]
