#!/bin/sh
# What a connection is answered by: reads the request, answers with its body's length.
length=0
while IFS= read -r line; do
  line=$(printf %s "$line" | tr -d '\r')
  [ -z "$line" ] && break
  case $line in [Cc]ontent-[Ll]ength:*) length=${line#*: } ;; esac
done
body=$(head -c "$length")
printf 'HTTP/1.1 200 OK\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' "$length" "$body"
