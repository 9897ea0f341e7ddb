#!/bin/sh
# `npm run demo`: from a fresh clone with nothing but Node 20.19 or newer. Installs and builds when needed, starts a daemon of its
# own (no Docker, free ports on loopback, a temporary state folder), calls two of the samples, shows what happened, and stops it.
# Ends by itself; the exit status says whether every step did what it should.
set -eu
cd "$(dirname "$0")/.."

# shellcheck source=scripts/node-and-packages.sh
. scripts/node-and-packages.sh
./hearth --version > /dev/null
exec "$NODE" scripts/demo.mjs < /dev/null
