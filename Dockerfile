# One static binary in an empty image.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base
WORKDIR /source
COPY . .
# For `notty --version`: --build-arg NOTTY_COMMIT=$(git rev-parse HEAD)
ARG NOTTY_COMMIT=""
# The image's toolchain is the one that rust-toolchain.toml names.
RUN RUSTUP_TOOLCHAIN="$(rustup show active-toolchain | cut -d' ' -f1)" \
    cargo build --release --locked && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /source/target/release/notty /notty
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV NOTTY_NODE__DATA_DIR=/data
VOLUME /data
EXPOSE 8080
# An API that is reachable from outside needs a token: see deploy/compose.yaml.
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["/notty", "healthcheck"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/notty"]
CMD ["serve"]
