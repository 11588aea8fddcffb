# `apollo-rt restore` on a CPU, without a sound card:
#     docker build -t apollo-rt .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/music" apollo-rt song.mp3 restored.flac
# The first stage needs the net; each package is taken by its hash. What is compiled at the first start is compiled here.
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY requirements-cpu.lock ./
RUN python -m venv /opt/apollo-rt \
    && /opt/apollo-rt/bin/pip install --no-cache-dir --require-hashes -r requirements-cpu.lock
COPY pyproject.toml README.md LICENSE ./
COPY apollo_rt ./apollo_rt
RUN /opt/apollo-rt/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim-bookworm
COPY --from=build /opt/apollo-rt /opt/apollo-rt
ENV NUMBA_CACHE_DIR=/var/cache/apollo-rt
RUN install -d -m 1777 "$NUMBA_CACHE_DIR" \
    && /opt/apollo-rt/bin/apollo-rt restore /opt/apollo-rt/lib/python3.13/site-packages/apollo_rt/data/demo.mp3 /tmp/demo.flac \
    && rm /tmp/demo.flac && chmod -R a+rwX "$NUMBA_CACHE_DIR"
USER 1000:1000
WORKDIR /music
ENTRYPOINT ["/opt/apollo-rt/bin/apollo-rt", "restore"]
CMD ["--help"]
