#!/usr/bin/env bash
# Build an image with Docker, or with buildah where no Docker daemon answers.
#
#   docker/build.sh [service|training]
#
#   IMAGE           its name (default: vae-service, vae-training)
#   PYTHON_IMAGE, TORCH, TORCH_OPTIONS    see docker/Dockerfile
#   BUILD_OPTIONS   more options for docker or buildah
set -euo pipefail
cd "$(dirname "$0")/.."

what=${1:-service}
case $what in
    service) file=docker/Dockerfile ;;
    training) file=docker/Dockerfile.training ;;
    *) echo "There is no image $what: choose service or training." >&2; exit 2 ;;
esac

arguments=(--file "$file" --tag "${IMAGE:-vae-$what}")
for name in PYTHON_IMAGE TORCH TORCH_OPTIONS; do
    [ -z "${!name:-}" ] || arguments+=(--build-arg "$name=${!name}")
done
read -ra more <<<"${BUILD_OPTIONS:-}"

if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    exec docker build "${arguments[@]}" "${more[@]}" .
elif command -v buildah >/dev/null; then
    # Docker's format: OCI's has no HEALTHCHECK.
    exec buildah bud --format docker --layers "${arguments[@]}" "${more[@]}" .
fi
echo "Neither a Docker daemon nor buildah is here: on Debian and Ubuntu 'apt install buildah'." >&2
exit 1
