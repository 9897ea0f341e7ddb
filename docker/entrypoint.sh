#!/bin/sh
# `docker run IMAGE` serves; `docker run IMAGE ps`, or `docker exec C hearth ps`, is the command line.
# A container's first process gets no default signal handlers and inherits orphans, so tini goes first where the base has it.
set -eu
if command -v tini > /dev/null 2>&1; then
  exec tini -- hearth "$@"
fi
exec hearth "$@"
