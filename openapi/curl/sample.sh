#!/bin/sh
# Four images of one seed as JSON: each a PNG in base64, with its index.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/sample" \
    -H 'Content-Type: application/json' \
    -d '{"n": 4, "seed": 42}'
echo
