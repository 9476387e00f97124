#!/bin/sh
# The picture of a latent, decoded.png: $1 as numbers with commas between, without it all zeros.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}

z=${1:-}
if [ -z "$z" ]; then
    latent_dim=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models" |
        sed 's/.*"latent_dim":\([0-9]*\).*/\1/')
    z=$(printf "%${latent_dim}s" '' | sed 's/ /0,/g; s/,$//')
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/decode" \
    -H 'Content-Type: application/json' \
    -H 'Accept: image/png' \
    -d "{\"z\": [[$z]]}" \
    -o "$OUT_DIR/decoded.png"
echo "$OUT_DIR/decoded.png"
