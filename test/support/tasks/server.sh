#!/bin/sh
echo meca-init-done
exec busybox nc -ll -p "$PORT" -e sh ./answer.sh
