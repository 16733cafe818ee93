FROM rust:1.95-slim-bookworm AS build
# ring, zstd and zlib are compiled from C, which the slim image has a compiler for.
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY src src
COPY benches benches
COPY fuzz fuzz
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --profile dist --locked --bin cliproxy && cp target/dist/cliproxy /cliproxy

FROM debian:12-slim
# wget asks /health; the certificates are those that providers are checked against.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates wget \
    && rm -rf /var/lib/apt/lists/* \
    && mkdir /state /auths /logs \
    && chown 65534:65534 /state /auths /logs
COPY --from=build /cliproxy /usr/local/bin/cliproxy
COPY conf/container.yaml /config/config.yaml
ENV CLIPROXY_CONFIG=/config/config.yaml \
    CLIPROXY_HOST=0.0.0.0 \
    CLIPROXY_AUTH_DIR=/auths \
    CLIPROXY_STATE_DIR=/state
# nobody, by number, so that a cluster can check that it isn't root. Nothing but these is written.
USER 65534:65534
VOLUME /state
EXPOSE 8317 9090
HEALTHCHECK --interval=30s --timeout=10s --retries=3 --start-period=40s \
    CMD ["wget", "--quiet", "--tries=1", "--spider", "http://localhost:8317/health"]
ENTRYPOINT ["cliproxy"]
