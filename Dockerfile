# The gateway as an image: the installed wheel and what it needs, without root. docs/container.md says how to run it.

FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md ./
COPY gateway gateway
COPY policies policies
COPY adapters adapters
RUN python -m venv /opt/sluicegate \
 && /opt/sluicegate/bin/python -m pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/sluicegate sluicegate \
 && install -d -o sluicegate -g sluicegate /var/lib/sluicegate /etc/sluicegate
COPY --from=build /opt/sluicegate /opt/sluicegate
ENV PATH=/opt/sluicegate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    SLUICEGATE_CONFIG=/etc/sluicegate \
    STATE_DIRECTORY=/var/lib/sluicegate \
    SLUICEGATE_OPS=http://127.0.0.1:9090
# by number: Kubernetes' runAsNonRoot does not look names up
USER 10001:10001
WORKDIR /var/lib/sluicegate
VOLUME /var/lib/sluicegate
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['SLUICEGATE_OPS'] + '/readyz', timeout=2)"]
ENTRYPOINT ["sluicegate"]
CMD ["serve"]
