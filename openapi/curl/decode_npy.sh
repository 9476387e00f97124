#!/bin/sh
# The picture of latents in a file of NumPy ($1; without it, of zeros), float32 (n, latent_dim), decoded.png.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}
OUT_DIR=${OUT_DIR:-.}
mkdir -p "$OUT_DIR"
part=$OUT_DIR/$$.part
# An error of the server (22 from curl) is shown; only a whole answer becomes a file.
trap 'if [ $? -eq 22 ] && [ -f "$part" ]; then cat "$part" >&2; echo >&2; fi; rm -f "$part"' EXIT

latents=${1:-}
if [ -z "$latents" ]; then
    latents=$OUT_DIR/latents.npy
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models" -o "$part"
    name=$(sed 's/.*"default":"\([^"]*\)".*/\1/' "$part")
    curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/models/$name" -o "$part"
    latent_dim=$(sed 's/.*"latent_dim":\([0-9]*\).*/\1/' "$part")
    printf '\223NUMPY\001\000\166\000%-117s\n' \
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, $latent_dim)}" > "$latents"
    head -c "$((4 * latent_dim))" /dev/zero >> "$latents"
elif [ ! -f "$latents" ]; then
    echo "$latents: no such file" >&2
    exit 2
fi

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/decode" \
    -H 'Content-Type: application/x-npy' \
    -H 'Accept: image/png' \
    --data-binary "@$latents" \
    -o "$part"
mv "$part" "$OUT_DIR/decoded.png"
echo "$OUT_DIR/decoded.png"
