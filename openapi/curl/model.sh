#!/bin/sh
# One model ($1; without it, the default one): shapes, preprocessing, provenance, measured quality.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

name=${1:-}
if [ -z "$name" ]; then
    models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models") ||
        { status=$?; printf '%s\n' "$models" >&2; exit $status; }
    name=$(echo "$models" | sed 's/.*"default":"\([^"]*\)".*/\1/')
fi
model=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name") ||
    { status=$?; printf '%s\n' "$model" >&2; exit $status; }
printf '%s\n' "$model" | { jq . || python3 -m json.tool || cat; } 2> /dev/null
