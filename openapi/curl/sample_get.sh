#!/bin/sh
# Sixteen images by GET, samples.png; asked again with their ETag, nothing is sent: 200, then 304.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?n=16&seed=42" \
    -H 'Accept: image/png' \
    --etag-save "$OUT_DIR/samples.etag" \
    -w '%{http_code}\n' \
    -o "$part"
mv "$part" "$OUT_DIR/samples.png"
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?n=16&seed=42" \
    -H 'Accept: image/png' \
    --etag-compare "$OUT_DIR/samples.etag" \
    -w '%{http_code}\n' \
    -o "$part"
echo "$OUT_DIR/samples.png"
