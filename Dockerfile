# mien in a container: docker build -t mien .
# The server:     docker run --rm -p 127.0.0.1:8000:8000 -e MIEN_API_KEY=... mien
#   It writes nothing: add --read-only --cap-drop ALL --security-opt no-new-privileges.
# Other commands: docker run --rm --user "$(id -u)" -v "$PWD:/data" mien recognize photo.jpg --save out
#   /data is the working directory. More extras than the server needs: docker build --build-arg EXTRAS=web,annotate
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/mien
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY src src
ARG EXTRAS=web
RUN /opt/mien/bin/pip install --no-cache-dir --constraint constraints.txt ".[$EXTRAS]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin mien
COPY --from=build /opt/mien /opt/mien
ENV PATH=/opt/mien/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MIEN_HOST=0.0.0.0
WORKDIR /data
USER mien
EXPOSE 8000
# On SIGTERM /readyz answers 503, requests in progress finish, then the server exits.
STOPSIGNAL SIGTERM
# Commands other than the server have no address to ask.
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
  CMD ! grep -qz '^serve$' /proc/1/cmdline || \
    python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"
# A container's port is reached from outside (MIEN_HOST): the server requires a key (MIEN_API_KEY or --api-key-file).
# Models and the face detector are in the package: nothing needs to be mounted or downloaded.
ENTRYPOINT ["mien"]
CMD ["serve", "--drain", "5"]
