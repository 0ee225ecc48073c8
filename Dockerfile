# One static binary in an empty image. The dependencies have a layer of their own: it is built again only
# when a manifest, the lock file or the toolchain changes.
FROM rust:1.95-alpine AS toolchain
RUN apk add --no-cache build-base
WORKDIR /source

# The manifests of the workspace, each with empty sources: all that cargo needs for the dependencies.
FROM toolchain AS manifests
COPY . .
RUN for file in Cargo.lock .cargo/config.toml $(find . -name Cargo.toml); do \
      install -D "$file" "/manifests/$file"; \
    done && \
    for manifest in $(find . -name Cargo.toml); do \
      dir="/manifests/$(dirname "$manifest")" && mkdir -p "$dir/src" && \
      touch "$dir/src/lib.rs" && echo 'fn main() {}' > "$dir/src/main.rs"; \
    done && \
    for file in $(find . -path '*/benches/*.rs'); do \
      install -D /manifests/src/main.rs "/manifests/$file"; \
    done

FROM toolchain AS build
COPY --from=manifests /manifests .
# The image's toolchain is the one that rust-toolchain.toml names.
RUN RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d' ' -f1)" \
    cargo build --release --locked -p notty
COPY . .
# For `notty --version`: --build-arg NOTTY_COMMIT=$(git rev-parse HEAD)
ARG NOTTY_COMMIT=""
# A source that is older than the empty one would count as built.
RUN find . -name '*.rs' -exec touch {} + && \
    RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d' ' -f1)" \
    cargo build --release --locked -p notty && mkdir -m 700 /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /source/target/release/notty /notty
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV NOTTY_NODE__DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# An API that is reachable from outside needs a token: see deploy/compose.yaml.
# It works for a standalone postman too, if that has this port: `notty postman --metrics 0.0.0.0:8080`.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["/notty", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/notty"]
CMD ["serve"]
