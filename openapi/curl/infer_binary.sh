#!/bin/sh
# The Open Inference Protocol: z as bytes after the JSON, as Triton's clients send it; pixels too, tensors.bin.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}

models=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models")
name=$(echo "$models" | sed 's/.*"default":"\([^"]*\)".*/\1/')
model=$(curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name")
latent_dim=$(echo "$model" | sed 's/.*"latent_dim":\([0-9]*\).*/\1/')
size=$((4 * latent_dim))
tensor="{\"name\": \"z\", \"shape\": [1, $latent_dim], \"datatype\": \"FP32\", \"parameters\": {\"binary_data_size\": $size}}"
json="{\"inputs\": [$tensor], \"parameters\": {\"binary_data_output\": true}}"

{ printf '%s' "$json" && head -c "$size" /dev/zero; } |
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2/models/$name/infer" \
        -H 'Content-Type: application/octet-stream' \
        -H "Inference-Header-Content-Length: ${#json}" \
        --data-binary @- \
        -o "$OUT_DIR/tensors.bin"
echo "$OUT_DIR/tensors.bin"
