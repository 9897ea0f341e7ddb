#!/bin/sh
# Makes an image that holds this machine's node and nothing else but its libraries and a busybox shell, and imports it under
# the given name. For building the examples and our own image where no registry can be reached:
#
#   scripts/node-base-image.sh hearth-node-base
#   docker build -t echo --build-arg BASE=hearth-node-base examples/echo
#
# Usage: node-base-image.sh NAME        the engine is docker's own choice (DOCKER_HOST)
#        node-base-image.sh --tar FILE  writes the root as a tar instead
set -eu

die() {
  echo "node-base-image: $*" >&2
  exit 1
}

[ $# -ge 1 ] || die "say a name for the image, or --tar FILE"
node=$(command -v "${HEARTH_NODE:-node}") || die "there is no node"
node=$("$node" -p process.execPath)
busybox=$(command -v busybox) || die "there is no busybox; Debian has it as busybox-static"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT INT TERM
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/usr/bin" "$root/usr/local/bin" "$root/var/lib" "$root/root"
chmod 1777 "$root/tmp"
cp "$node" "$root/usr/local/bin/node"
cp "$busybox" "$root/bin/busybox"
for name in sh cat chmod cp date echo env head id kill ln ls mkdir mv nc ps rm rmdir sed sleep tail tar test touch tr wget; do
  ln -s busybox "$root/bin/$name"
done
ln -s /bin/busybox "$root/usr/bin/env"
[ ! -x /usr/bin/tini-static ] || cp /usr/bin/tini-static "$root/usr/bin/tini"

copy_library() {
  mkdir -p "$root$(dirname "$1")"
  cp -L "$1" "$root$1"
}

# The loader and the libraries, at the paths where the program looks for them.
ldd "$node" | sed -n 's/^.*=> \(\/[^ ]*\) .*$/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*$/\1/p' | while read -r library; do
  copy_library "$library"
done
# The rest of glibc's own: packages with machine code of their own, such as libsql, are linked to more of it than node is.
libraries=$(dirname "$(ldd "$node" | sed -n 's/^.*libc\.so\.6 => \(\/[^ ]*\) .*$/\1/p')")
for name in librt.so.1 libdl.so.2 libpthread.so.0 libm.so.6 libresolv.so.2 libgcc_s.so.1; do
  [ ! -e "$libraries/$name" ] || copy_library "$libraries/$name"
done

echo 'root:x:0:0:root:/root:/bin/sh
node:x:1000:1000:node:/tmp:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false' > "$root/etc/passwd"
echo 'root:x:0:
docker:x:999:
node:x:1000:
nogroup:x:65534:' > "$root/etc/group"

if [ "$1" = --tar ]; then
  tar -C "$root" -cf "${2:?say which file}" .
else
  tar -C "$root" -c . | docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' --change 'CMD ["node"]' - "$1"
fi
