# One image for hub, engine and commands: `docker build -t kulta-fleet:0.1.0 .`
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY fleet fleet
COPY templates templates
COPY crds crds
COPY clusters clusters
RUN python -m venv /opt/fleet && /opt/fleet/bin/pip install --no-cache-dir .

FROM python:3.11-slim
COPY --from=build /opt/fleet /opt/fleet
ENV PATH=/opt/fleet/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that a kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["fleet"]
