#!/bin/sh
# Nine images on the way from one seed ($1, or 1) to another ($2, or 2), interpolation.png.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/interpolate" \
    -H 'Content-Type: application/json' \
    -H 'Accept: image/png' \
    -d "{\"from\": ${1:-1}, \"to\": ${2:-2}, \"steps\": 9}" \
    -o "$part"
mv "$part" "$OUT_DIR/interpolation.png"
echo "$OUT_DIR/interpolation.png"
