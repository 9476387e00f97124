#!/bin/sh
# What is served: shapes, preprocessing, provenance, measured quality, and the limits of a request.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models") ||
    { status=$?; printf '%s\n' "$models" >&2; exit $status; }
printf '%s\n' "$models" | { jq . || python3 -m json.tool || cat; } 2> /dev/null
