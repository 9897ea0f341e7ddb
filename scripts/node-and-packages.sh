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

# True where what is installed is what the lock file names: by us (the stamp that ./hearth keeps too), or by an npm of somebody's that
# ran after us, and after the lock file beside the packages was written. Behind a link that file is another's, and says something
# only if it is the same as ours. ./hearth judges alike.
hearth_packages_fit() {
  [ -d node_modules ] || return 1
  [ "$(cat node_modules/.stamp 2> /dev/null)" != "$1" ] || return 0
  beside=node_modules/../package-lock.json
  [ -f "$beside" ] || beside=package-lock.json
  ours=node_modules/.stamp
  [ -f "$ours" ] || ours=$beside
  [ "$(cksum < "$beside")" = "$1" ] &&
    [ -n "$(find node_modules/.package-lock.json -newer "$beside" -newer "$ours" 2> /dev/null)" ]
}

lock=$(cksum < package-lock.json)
if ! hearth_packages_fit "$lock"; then
  if [ -L node_modules ]; then
    # npm would empty the folder that it leads to, which is somebody else's.
    echo "node_modules is a link to packages that are not known to be those of package-lock.json; remove it, and they are installed here" >&2
    exit 1
  fi
  echo "installing npm packages" >&2
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
  printf %s "$lock" > node_modules/.stamp
fi
