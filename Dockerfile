# The server as a small image. Build: docker build -t dao-api .
# Run on this machine only (without keys anybody can be anybody), data in a volume:
#   docker run -p 127.0.0.1:3000:3000 -v dao-data:/data -e HOST=0.0.0.0 dao-api serve --insecure-no-auth

FROM rust:1.89-bookworm AS build
WORKDIR /build
COPY . .
RUN ./scripts/dist.sh

FROM debian:bookworm-slim
# For commands that ask a server elsewhere: `dao-api show --url https://…`, and keys of an issuer (JWT_JWKS).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN useradd --system --uid 10001 --home-dir /data --create-home dao
# The line tables are in the first stage: docker build --target build, /build/target/dist/dao-api.debug
COPY --from=build /build/target/dist/dao-api /usr/local/bin/dao-api
COPY LICENSE /usr/share/doc/dao-api/LICENSE
USER dao
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 3000
# Asks /readyz from inside; the address is that of this container alone, so no flag is needed.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["dao-api", "healthcheck", "--host", "127.0.0.1"]
ENTRYPOINT ["dao-api"]
CMD ["serve"]
