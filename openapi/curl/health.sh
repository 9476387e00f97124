#!/bin/sh
# Whether the process is alive, and whether it takes requests.
set -eu
BASE_URL=${BASE_URL:-http://127.0.0.1:8000}

curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/livez"
echo
curl --fail-with-body -sS ${API_KEY:+-H "Authorization: Bearer $API_KEY"} "$BASE_URL/readyz"
echo
