#!/bin/sh
# How strange a picture file is to the model ($1; without it, a sample): anomaly, elbo, rate, distortion, mse.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}

picture=${1:-}
if [ -z "$picture" ]; then
    picture=$OUT_DIR/sample.png
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample" \
        -H 'Content-Type: application/json' -H 'Accept: image/png' -d '{"seed": 1}' -o "$picture"
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/score" \
    -F "image=@$picture"
echo
