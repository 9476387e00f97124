#!/bin/sh
# Sixteen images as one PNG file each, with a manifest, in samples.tar.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample" \
    -H 'Content-Type: application/json' \
    -H 'Accept: application/x-tar' \
    -d '{"n": 16, "seed": 42}' \
    -o "$part"
mv "$part" "$OUT_DIR/samples.tar"
echo "$OUT_DIR/samples.tar"
