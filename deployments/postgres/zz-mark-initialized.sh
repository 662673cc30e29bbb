#!/bin/sh
# Runs last: marks that this cluster was initialized whole, so that scripts/up can tell one whose initialization was cut off.
touch "$PGDATA/callplane-initialized"
