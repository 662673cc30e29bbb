// Package rabbitmq keeps a program's connections to RabbitMQ alive and sends, receives and asks over them so that nothing is lost and
// order is kept: confirmed publishing, partitioned consumption in order without requeueing, and request/reply by direct reply-to.
//
// A Connector owns one connection and dials anew for as long as it runs; publishers, consumers and the two ends of request/reply are
// parts of a connector and start over with each connection. amqp091-go's own recovery is not used: after it has recovered, a consumer's
// channel still yields deliveries from before the cut, and acknowledging those acknowledges others.
//
// Connections that publish and connections that consume should be different connectors: the broker blocks the whole connection of a
// publisher when it runs out of memory or disk.
package rabbitmq
