#!/bin/sh
# Sixteen images by GET, samples.png; asked again with their ETag, nothing is sent: 200, then 304.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?n=16&seed=42" \
    -H 'Accept: image/png' \
    --etag-save "$OUT_DIR/samples.etag" \
    -w '%{http_code}\n' \
    -o "$OUT_DIR/samples.png"
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?n=16&seed=42" \
    -H 'Accept: image/png' \
    --etag-compare "$OUT_DIR/samples.etag" \
    -w '%{http_code}\n' \
    -o /dev/null
echo "$OUT_DIR/samples.png"
