# Stands in for the official nginx image where no registry answers: Debian's package, beside a busybox (the official image is Alpine,
# whose wget the health check uses).
ARG BASE
FROM $BASE
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx busybox \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /bin/busybox /usr/bin/wget
LABEL callplane.standin=true
CMD ["nginx", "-g", "daemon off;"]
