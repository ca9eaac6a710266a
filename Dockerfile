FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt .
RUN pip install --require-hashes -r requirements.txt

COPY . .
# The settings need a secret even to collect files. This one is not used again.
RUN STATIC_ROOT=/app/static-collected JWT_SECRET="$(python -c 'import secrets; print(secrets.token_hex(32))')" \
    python manage.py collectstatic --no-input && rm -rf var

RUN useradd --system --uid 10001 agentgate && install -d -o agentgate /app/var /data
USER 10001
# The processes write only to /data and /tmp, so the rest can be read-only.
ENV HOST=0.0.0.0 API_PORT=8000 DATABASE_PATH=/data/agentgate.db STATIC_ROOT=/app/static-collected \
    AUDIT_ANCHOR_DIR=/data/anchors AUDIT_ARCHIVE_DIR=/data/archive HEARTBEAT_PATH=/tmp/heartbeat
VOLUME /data
EXPOSE 8000

# Ask the container's own port: the server speaks plain HTTP behind a proxy, whatever API_URL is.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['API_PORT']}/api/v1/health\", timeout=4)"]
CMD ["python", "-m", "server.main"]

# Last, so that a new revision does not rebuild the layers above: docker build --build-arg REVISION=$(git rev-parse HEAD)
ARG REVISION=unknown
LABEL org.opencontainers.image.title="AgentGate" \
      org.opencontainers.image.description="OAuth for AI agents: scoped permissions, consent, policies and an audit trail" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="MIT"
