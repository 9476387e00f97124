#!/bin/sh
# A picture file ($1; without it, a sample) through the bottleneck and back, reconstruction.png.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

picture=${1:-}
if [ -z "$picture" ]; then
    picture=$OUT_DIR/sample.png
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample" \
        -H 'Content-Type: application/json' -H 'Accept: image/png' -d '{"seed": 1}' -o "$part"
    mv "$part" "$picture"
elif [ ! -f "$picture" ]; then
    echo "$picture: no such file" >&2
    exit 2
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/reconstruct" \
    -H 'Accept: image/png' \
    -F "image=@$picture" \
    -o "$part"
mv "$part" "$OUT_DIR/reconstruction.png"
echo "$OUT_DIR/reconstruction.png"
