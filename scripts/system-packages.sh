#!/bin/sh
# The programs that the tests use besides Node, and the Debian packages they come from. This table is the one place for it.
#
#   scripts/system-packages.sh             names what is missing; exit 1 when something is
#   scripts/system-packages.sh --install   installs it, as root on Debian or one of its kin; elsewhere it only names it
set -eu

PACKAGES='
dockerd          docker.io
docker-init      docker.io
iptables         iptables
tini             tini
bwrap            bubblewrap
busybox          busybox-static
docker-registry  docker-registry
redis-server     redis-server
openssl          openssl
ip               iproute2
nft              nftables
curl             curl
wrk              wrk
shellcheck       shellcheck
systemd-analyze  systemd
chromium         chromium
python3          python3-minimal
python3:ensurepip  python3-venv
promtool         prometheus
gcc              build-essential
setpriv          util-linux
top              procps
runsc            runsc
zip              zip
swift-proxy-server      swift-proxy
swift-account-server    swift-account
swift-container-server  swift-container
swift-object-server     swift-object
'

PATH=$PATH:/usr/sbin:/sbin
# A program on the PATH, or `python3:MODULE`.
is_here() {
  case $1 in
    *:*) "${1%%:*}" -c "import ${1#*:}" > /dev/null 2>&1 ;;
    *) command -v "$1" > /dev/null 2>&1 ;;
  esac
}

missing_programs=
missing_packages=
while read -r program package; do
  [ -n "$program" ] || continue
  is_here "$program" && continue
  missing_programs="$missing_programs $program"
  case " $missing_packages " in *" $package "*) ;; *) missing_packages="$missing_packages $package" ;; esac
done << EOF
$PACKAGES
EOF
[ -n "$missing_programs" ] || exit 0

if [ "${1:-}" = --install ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null 2>&1; then
  echo "installing$missing_packages" >&2
  export DEBIAN_FRONTEND=noninteractive
  # A fresh machine has no package lists; a machine with old ones may still know the names.
  apt-get -q update > /dev/null || echo "the package lists could not be brought up to date" >&2
  # shellcheck disable=SC2086 # a list of names
  apt-get -q install -y --no-install-recommends $missing_packages < /dev/null >&2
  exit 0
fi
echo "not on this machine:$missing_programs (Debian packages:$missing_packages)" >&2
exit 1
