#!/bin/sh
# The Open Inference Protocol: a tensor z of zeros as JSON, decoded to a tensor of pixels.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models") ||
    { status=$?; printf '%s\n' "$models" >&2; exit $status; }
name=$(echo "$models" | sed 's/.*"default":"\([^"]*\)".*/\1/')
model=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name") ||
    { status=$?; printf '%s\n' "$model" >&2; exit $status; }
latent_dim=$(echo "$model" | sed 's/.*"latent_dim":\([0-9]*\).*/\1/')
zeros=$(printf "%${latent_dim}s" '' | sed 's/ /0,/g; s/,$//')

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2/models/$name/infer" \
    -H 'Content-Type: application/json' \
    -d "{\"inputs\": [{\"name\": \"z\", \"shape\": [1, $latent_dim], \"datatype\": \"FP32\", \"data\": [$zeros]}]}"
echo
