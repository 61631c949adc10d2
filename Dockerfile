# One image for hub, engine and commands: `docker build -t kulta-fleet:0.1.0 .`
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
# What others wrote changes seldom: this layer stays while only our own files change.
RUN python -m venv /opt/fleet && /opt/fleet/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needed.txt
RUN /opt/fleet/bin/pip install --no-cache-dir --requirement needed.txt
COPY fleet fleet
COPY templates templates
COPY crds crds
COPY clusters clusters
RUN /opt/fleet/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /opt/fleet /opt/fleet
ENV PATH=/opt/fleet/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that a kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["fleet"]
