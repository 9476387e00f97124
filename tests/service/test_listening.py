import pytest

from service.errors import CannotListen
from service.listening import listen, listeners


@pytest.mark.parametrize("num", [1, 2])
def test_of_two_services_that_start_together_the_second_is_told_that_the_port_is_taken(num: int) -> None:
    with listeners("127.0.0.1", 0, num) as first:
        port = first[0].getsockname()[1]
        with listeners("127.0.0.1", port, 1) as second:  # before either of them listens
            listen(first[0])
            with pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 cannot be used"):
                listen(second[0])
        with (
            pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 cannot be used"),
            listeners("127.0.0.1", port, num),
        ):
            pass
