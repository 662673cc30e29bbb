# Stands in for the official Redis image where no registry answers: Debian's package, which listens on all addresses and
# asks for no password, as the official image does.
ARG BASE
FROM $BASE
RUN apt-get update \
 && apt-get install -y --no-install-recommends redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o redis -g redis /data
USER redis
WORKDIR /data
VOLUME /data
EXPOSE 6379
LABEL callplane.standin=true
CMD ["redis-server", "--protected-mode", "no"]
