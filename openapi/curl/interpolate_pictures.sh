#!/bin/sh
# Nine images on the way from one picture file ($1) to another ($2; without them, two samples), interpolation.png.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

if [ $# -ge 2 ]; then
    from=$1 to=$2
    for picture in "$from" "$to"; do
        [ -f "$picture" ] || { echo "$picture: no such file" >&2; exit 2; }
    done
else
    from=$OUT_DIR/from.png to=$OUT_DIR/to.png
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?seed=1" \
        -H 'Accept: image/png' -o "$part"
    mv "$part" "$from"
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample?seed=2" \
        -H 'Accept: image/png' -o "$part"
    mv "$part" "$to"
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/interpolate" \
    -H 'Accept: image/png' \
    -F "image=@$from" -F "image=@$to" -F steps=9 \
    -o "$part"
mv "$part" "$OUT_DIR/interpolation.png"
echo "$OUT_DIR/interpolation.png"
