"""What is drawn for a request that does not bring it: its id and its seed.

Neither is a secret. So the kernel is not asked: it would be while the interpreter's lock is given away,
and under load that takes a request longer to get back than all else that its route does.
"""

import random

# Seeds that the server draws are whole numbers that JavaScript reads exactly.
SEED_BITS = 53
ID_BITS = 128


def new_seed() -> int:
    """A seed, from 0 to 2^53 - 1."""
    return random.getrandbits(SEED_BITS)


def new_request_id() -> str:
    """An id that no other request has, 32 hexadecimal digits."""
    return f"{random.getrandbits(ID_BITS):032x}"
