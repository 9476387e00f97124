"""Ask the service of this container whether it lives; status 1 where it does not. Plain Python, for speed."""

import os
import sys
from http.client import HTTPConnection

TIMEOUT_SECONDS = 2


def main() -> int:
    """0 where /livez says 200."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("VAE_PORT", "8000")), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/livez")
        return int(connection.getresponse().status != 200)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
