# KIS Estimator in a container: docker build -t kis-estimator . (compose.yaml runs it)

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
# First what changes seldom: a change of the code installs none of this again.
COPY requirements.lock ./
RUN python -m venv /opt/kis \
 && /opt/kis/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-input \
      --only-binary :all: --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY supabase/migrations supabase/migrations
RUN python -m pip wheel --no-cache-dir --disable-pip-version-check --no-input --no-deps \
      --wheel-dir /wheels . \
 && /opt/kis/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-input \
      --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim-bookworm
# A fixed number, so that a volume keeps its owner from one image to the next.
RUN groupadd --system --gid 10001 kis \
 && useradd --system --uid 10001 --gid kis --no-create-home --home-dir /var/lib/kis \
      --shell /usr/sbin/nologin kis \
 && install --directory --owner kis --group kis --mode 0700 /var/lib/kis
COPY --from=build /opt/kis /opt/kis
ENV PATH=/opt/kis/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    KIS_HOME=/var/lib/kis \
    APP_PORT=8000
USER kis
WORKDIR /var/lib/kis
VOLUME /var/lib/kis
EXPOSE 8000
# The service drains and ends on its own when it is asked to.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['APP_PORT'] + '/healthz', timeout=4)"]
# Without Supabase or SUPABASE_JWT_SECRET it refuses to listen beyond its own machine.
CMD ["kis", "serve", "--host", "0.0.0.0"]
