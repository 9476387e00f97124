#!/bin/sh
# The picture of a latent, decoded.png: $1 as numbers with commas between, without it all zeros.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

z=${1:-}
if [ -z "$z" ]; then
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models" -o "$part"
    name=$(sed 's/.*"default":"\([^"]*\)".*/\1/' "$part")
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name" -o "$part"
    latent_dim=$(sed 's/.*"latent_dim":\([0-9]*\).*/\1/' "$part")
    z=$(printf "%${latent_dim}s" '' | sed 's/ /0,/g; s/,$//')
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/decode" \
    -H 'Content-Type: application/json' \
    -H 'Accept: image/png' \
    -d "{\"z\": [[$z]]}" \
    -o "$part"
mv "$part" "$OUT_DIR/decoded.png"
echo "$OUT_DIR/decoded.png"
