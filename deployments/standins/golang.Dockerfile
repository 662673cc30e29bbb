# Stands in for the official Go image where no registry answers: the pinned toolchain as the module proxy serves it, on Debian.
# No C compiler and no git: the services are built without either. It trusts the certificates that the building machine trusts, since the module proxy may be reached through a gateway of its own.
ARG BASE
FROM $BASE
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY go /usr/local/go
ENV GOPATH=/go GOTOOLCHAIN=local \
    PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN install -d -m 1777 /go /go/src /go/bin
WORKDIR /go
LABEL callplane.standin=true
