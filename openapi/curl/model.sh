#!/bin/sh
# One model ($1; without it, the default one): shapes, preprocessing, provenance, measured quality.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

name=${1:-}
if [ -z "$name" ]; then
    models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models")
    name=$(echo "$models" | sed 's/.*"default":"\([^"]*\)".*/\1/')
fi
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name"
echo
