# shellcheck shell=sh
# Finds a Node that is new enough and makes sure that the npm packages fit the lock file. Sourced with the project's root as
# the working directory; afterwards $NODE is the program to call.

hearth_node_fits() {
  command -v "$1" > /dev/null 2>&1 &&
    "$1" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}

NODE=
for candidate in "${HEARTH_NODE:-}" node nodejs; do
  if [ -n "$candidate" ] && hearth_node_fits "$candidate"; then
    NODE=$candidate
    break
  fi
done
if [ -z "$NODE" ]; then
  echo "hearth needs Node 20.19 or newer; name one with HEARTH_NODE=/path/to/node" >&2
  exit 127
fi

# The stamp is the one that ./hearth keeps: the lock file's checksum at the last complete install.
lock=$(cksum < package-lock.json)
if [ "$(cat node_modules/.stamp 2> /dev/null)" != "$lock" ]; then
  if [ -L node_modules ]; then
    # npm would empty the folder that it leads to, which is somebody else's.
    echo "node_modules is a link to packages that package-lock.json does not name; remove it, and they are installed here" >&2
    exit 1
  fi
  echo "installing npm packages" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  printf %s "$lock" > node_modules/.stamp
fi
