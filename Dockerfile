# The proxy, and nothing else: no shell, no package manager, not root.
#   docker build -t pgstrata .
#   docker run -v ./pgstrata.toml:/etc/pgstrata/pgstrata.toml:ro -p 6432:6432 pgstrata
# In a container [listen] and [http] need an address such as "0.0.0.0:6432": 127.0.0.1 is the container's own.

FROM rust:1.90-slim-bookworm AS build
# PostgreSQL's parser is C, and its headers are read by libclang.
RUN apt-get update && apt-get install -y --no-install-recommends clang libclang-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package pgstrata --bin pgstrata

# The C library of Debian 12, as it was built with, and the authorities that sign certificates.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/pgstrata /usr/local/bin/pgstrata
USER 65532:65532
EXPOSE 6432 9187
ENTRYPOINT ["/usr/local/bin/pgstrata"]
CMD ["serve", "--config", "/etc/pgstrata/pgstrata.toml"]
