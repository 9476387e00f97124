#!/bin/sh
# Sixteen images as one NumPy array, uint8 (n, height, width, channels), samples.npy.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample" \
    -H 'Content-Type: application/json' \
    -H 'Accept: application/x-npy' \
    -d '{"n": 16, "seed": 42}' \
    -o "$OUT_DIR/samples.npy"
echo "$OUT_DIR/samples.npy"
