#!/bin/sh
# What Prometheus scrapes.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

curl --fail-with-body -sS "$BASE_URL/metrics"
