#!/bin/sh
# The Open Inference Protocol: z as bytes after the JSON, as Triton's clients send it; pixels too, tensors.bin.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models" -o "$part"
name=$(sed 's/.*"default":"\([^"]*\)".*/\1/' "$part")
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name" -o "$part"
latent_dim=$(sed 's/.*"latent_dim":\([0-9]*\).*/\1/' "$part")
size=$((4 * latent_dim))
tensor="{\"name\": \"z\", \"shape\": [1, $latent_dim], \"datatype\": \"FP32\", \"parameters\": {\"binary_data_size\": $size}}"
json="{\"inputs\": [$tensor], \"parameters\": {\"binary_data_output\": true}}"

{ printf '%s' "$json" && head -c "$size" /dev/zero; } |
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/v2/models/$name/infer" \
        -H 'Content-Type: application/octet-stream' \
        -H "Inference-Header-Content-Length: ${#json}" \
        --data-binary @- \
        -o "$part"
mv "$part" "$OUT_DIR/tensors.bin"
echo "$OUT_DIR/tensors.bin"
