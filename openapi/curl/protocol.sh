#!/bin/sh
# The Open Inference Protocol: the server, the tensors of its default model, and whether it is ready.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models") ||
    { status=$?; printf '%s\n' "$models" >&2; exit $status; }
name=$(echo "$models" | sed 's/.*"default":"\([^"]*\)".*/\1/')
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2"
echo
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2/models/$name"
echo
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2/models/$name/ready"
echo
