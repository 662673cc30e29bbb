# Stands in for the official LiveKit server image where no registry answers: the same binary at the same path, beside a busybox
# (the official image is Alpine, whose wget the health check uses).
ARG BASE
FROM $BASE
RUN apt-get update \
 && apt-get install -y --no-install-recommends busybox ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /bin/busybox /usr/bin/wget
COPY livekit-server /livekit-server
LABEL callplane.standin=true
ENTRYPOINT ["/livekit-server"]
