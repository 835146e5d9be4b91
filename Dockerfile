# The proxy. Two images: the default one also holds PostgreSQL's client programs, for `pgstrata tenant export` and
# `import`; `--target slim` has neither those nor a shell. Neither runs as root, and a read-only root file system will do.
#   docker build -t pgstrata .
#   docker run -v ./pgstrata.toml:/etc/pgstrata/pgstrata.toml:ro -p 6432:6432 pgstrata
# In a container [listen] and [http] need an address such as "0.0.0.0:6432": 127.0.0.1 is the container's own.

FROM rust:1.90-slim-bookworm AS base
# PostgreSQL's parser is C, and its headers are read by libclang.
RUN apt-get update && apt-get install -y --no-install-recommends clang libclang-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src

# Manifests, and sources with nothing in them: the same for each change of code.
FROM base AS manifests
COPY . .
RUN find . -name '*.rs' ! -path '*/src/lib.rs' ! -path '*/src/main.rs' ! -path '*/src/bin/*' ! -path '*/benches/*' -delete \
    && find . -name '*.rs' -exec sh -c 'echo "fn main() {" "}" >"$1"' sh {} \; \
    && find . -type f ! -name '*.rs' ! -name 'Cargo.*' -delete \
    && find . -type d -empty -delete

# The dependencies, in a layer of their own. What is built of empty sources is thrown away.
FROM base AS dependencies
COPY --from=manifests /src .
RUN cargo build --release --locked --package pgstrata --bin pgstrata \
    && find target/release -name '*pgstrata*' -prune -exec rm -rf {} +

FROM dependencies AS build
COPY . .
RUN cargo build --release --locked --package pgstrata --bin pgstrata \
    && objcopy --strip-debug target/release/pgstrata

# The C library of Debian 12, as it was built with, and the authorities that sign certificates.
FROM gcr.io/distroless/cc-debian12:nonroot AS slim
COPY --from=build /src/target/release/pgstrata /usr/local/bin/pgstrata
USER 65532:65532
EXPOSE 6432 9187
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/pgstrata", "health"]
ENTRYPOINT ["/usr/local/bin/pgstrata"]
CMD ["serve", "--config", "/etc/pgstrata/pgstrata.toml"]

FROM debian:12-slim AS full
# pg_dump reads servers up to its own version: the newest one, from PostgreSQL's own packages.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends postgresql-client-18 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/pgstrata /usr/local/bin/pgstrata
USER 65532:65532
EXPOSE 6432 9187
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/pgstrata", "health"]
ENTRYPOINT ["/usr/local/bin/pgstrata"]
CMD ["serve", "--config", "/etc/pgstrata/pgstrata.toml"]
