// Package systemtest holds Callplane as a whole against what it promises: both services run as processes of their own on real PostgreSQL,
// RabbitMQ and LiveKit, real clients call each other, and everything is seen from outside only. The tests that need containers are built
// with the tag "integration".
package systemtest
