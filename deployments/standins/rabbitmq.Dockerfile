# Stands in for the official RabbitMQ image with management where no registry answers: the same ports, paths, user id and
# RABBITMQ_DEFAULT_* variables, and like it with management and Prometheus enabled and no other plugin. Mounted
# /etc/rabbitmq/enabled_plugins, rabbitmq.conf and conf.d are honoured. Made from Debian's package.
ARG BASE
FROM $BASE
RUN groupadd --system --gid 999 rabbitmq \
 && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq \
 && apt-get update \
 && apt-get install -y --no-install-recommends rabbitmq-server \
 && rm -rf /var/lib/apt/lists/* /var/lib/rabbitmq/* /var/log/rabbitmq/* /etc/rabbitmq/* \
 && install -d -o rabbitmq -g rabbitmq -m 1777 /var/lib/rabbitmq /var/log/rabbitmq /etc/rabbitmq /etc/rabbitmq/conf.d \
 && printf '[rabbitmq_management,rabbitmq_prometheus].\n' >/etc/rabbitmq/enabled_plugins \
 && printf 'loopback_users.guest = false\nlog.console = true\n' >/etc/rabbitmq/conf.d/10-defaults.conf \
 && chown -R rabbitmq:rabbitmq /etc/rabbitmq
COPY rabbitmq-entrypoint /usr/local/bin/docker-entrypoint.sh
# Debian's wrapper of the server hides the log and changes the user, so the server's own scripts come first.
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/var/lib/rabbitmq LANG=C.UTF-8 RABBITMQ_LOGS=-
VOLUME /var/lib/rabbitmq
EXPOSE 4369 5671 5672 15671 15672 15691 15692 25672
LABEL callplane.standin=true
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
