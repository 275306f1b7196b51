# Any command of agora-sidecar, as a user without rights, on a root file system that may be read-only:
#   docker run --read-only --cap-drop ALL -v data:/var/lib/agora-sidecar --env-file env agora-sidecar receiver
# Both stages have one base, so that the environment made in the first runs in the second.

FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY deploy/requirements.lock deploy/aws.lock deploy/build.lock deploy/
# WITH_AWS=1 adds boto3 for a scheduler that keeps a prefix list or a security group: 40 MiB more
ARG WITH_AWS=0
# wheels alone, by their hashes: nothing is compiled and nothing unknown is run
RUN if [ "$WITH_AWS" = 1 ]; then mv deploy/aws.lock deploy/requirements.lock; fi \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary :all: --requirement deploy/build.lock \
    && python -m venv --without-pip /opt/agora-sidecar \
    && /opt/build/bin/pip --python /opt/agora-sidecar/bin/python install \
        --require-hashes --only-binary :all: --requirement deploy/requirements.lock
COPY pyproject.toml README.md ./
COPY agora_sidecar agora_sidecar
COPY receiver receiver
COPY scheduler scheduler
RUN /opt/build/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /src/dist . \
    && /opt/build/bin/pip --python /opt/agora-sidecar/bin/python install --no-index --no-deps /src/dist/*.whl

FROM python:3.13-slim-bookworm
# WITH_NFTABLES=1 adds `nft` for a scheduler with an nftables target. Such a container shares the host's
# network and runs as root with one right: --network host --user 0 --cap-drop ALL --cap-add NET_ADMIN
ARG WITH_NFTABLES=0
RUN if [ "$WITH_NFTABLES" = 1 ]; then \
        apt-get update && apt-get install --yes --no-install-recommends nftables && rm -rf /var/lib/apt/lists/*; \
    fi \
    && groupadd --gid 10001 agora-sidecar \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/agora-sidecar \
        --shell /usr/sbin/nologin agora-sidecar \
    && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/agora-sidecar
COPY --from=build /opt/agora-sidecar /opt/agora-sidecar
# SAFEPATH: a file in the working directory can never stand in for a module (`receiver` and `scheduler` are common names)
ENV PATH=/opt/agora-sidecar/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /var/lib/agora-sidecar
WORKDIR /var/lib/agora-sidecar
USER 10001:10001
EXPOSE 8080
# By default whichever process lives here, on its usual ops port; HEALTH_URL says another place
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD \
    for url in ${HEALTH_URL:-http://127.0.0.1:9101/livez http://127.0.0.1:9102/livez}; do \
        python -c "import sys, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(sys.argv[1], timeout=2)" "$url" 2>/dev/null && exit 0; \
    done; exit 1
ENTRYPOINT ["agora-sidecar"]
CMD ["--help"]
