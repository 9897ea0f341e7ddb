#!/bin/sh
# Runs everything, from a fresh clone on: `npm test`. Arguments go to scripts/check.mjs (`npm test -- unit e2e`).
#
# npm packages are installed when they do not fit the lock file; system packages (scripts/system-packages.sh) as root on
# Debian, elsewhere what is missing is named and its tests are skipped aloud. With CI=true such a skip is a failure.
# The last line is `N passed, N failed`, with `, N skipped` where that is so.
set -eu
cd "$(dirname "$0")/.."

# shellcheck source=scripts/node-and-packages.sh
. scripts/node-and-packages.sh
sh scripts/system-packages.sh --install || echo "going on without; what needs them is skipped" >&2
# Debian keeps dockerd, ip and iptables where an ordinary user's PATH does not look.
PATH=$PATH:/usr/sbin:/sbin
export PATH
exec "$NODE" scripts/check.mjs "$@" < /dev/null
