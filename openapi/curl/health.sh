#!/bin/sh
# Whether the process is alive, and whether it takes requests.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

curl --fail-with-body -sS "$BASE_URL/livez"
echo
curl --fail-with-body -sS "$BASE_URL/readyz"
echo
