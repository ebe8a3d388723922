"""Each test runs twice: with the units as they are, and with the hardening drop-in."""

import pytest

from tests.lib import machine, network
from units import Site


@pytest.fixture(scope="session", autouse=True)
def possible():
    why = network.obstacle() or machine.obstacle()
    if why is not None:
        pytest.skip(why)


@pytest.fixture(params=["plain", "hardened"])
def hardened(request):
    return request.param == "hardened"


@pytest.fixture
def site(arena, hardened):
    return Site(arena, hardened)
