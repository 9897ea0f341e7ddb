#!/bin/sh
# Builds one of our small freestanding programs for both machines, and writes bytes.ts beside it:
#
#   scripts/build-program.sh src/std/probe-program probe
#   scripts/build-program.sh src/drivers/docker/job/unlock-program unlock
#
# Needs gcc and aarch64-linux-gnu-gcc (Debian: gcc-aarch64-linux-gnu). The bytes are committed, so that neither a build nor a host
# needs a compiler; a test runs them and compares the source's sum.
set -eu
cd "$(dirname "$0")/../$1"
name=$2
constant=$(printf %s "$name" | tr '[:lower:]' '[:upper:]')
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

build() {
  "$1" -Os -static -nostdlib -nostartfiles -ffreestanding -fno-builtin -fno-stack-protector -fno-unwind-tables \
    -fno-asynchronous-unwind-tables -fno-pic -no-pie -fno-tree-loop-distribute-patterns -Wall -Wextra -Werror \
    -o "$folder/$2" "$name.c" -s -Wl,--build-id=none,-z,noseparate-code,-z,norelro
  echo "  $2:"
  base64 -w 104 "$folder/$2" | sed -e 's/.*/    "&" +/' -e '$s/ +$/,/'
}

{
  echo "/** Written by scripts/build-program.sh from $name.c; see there. */"
  echo "export const ${constant}_SOURCE_SHA256 = \"$(sha256sum "$name.c" | cut -d ' ' -f 1)\";"
  echo
  echo "/** The program for each machine, as engines call them, in base64. */"
  echo "export const ${constant}_BYTES = {"
  build gcc amd64
  build aarch64-linux-gnu-gcc arm64
  echo "} as const;"
} > "$folder/bytes.ts"
mv "$folder/bytes.ts" bytes.ts
