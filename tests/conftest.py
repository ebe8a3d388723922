"""Fixtures of the system tests, a time limit for each, and logs for those that fail."""

import signal

import pytest

from tests.lib import Arena
from tests.lib.notify import Manager

LIMIT_S = 180

# Whoever started the tests may ignore signals (nohup, a job in the background); the programs under test
# are to start without that.
for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.fixture
def arena(request, tmp_path):
    """The test's Arena. When it is taken down nothing may be left over."""
    made = Arena(tmp_path)
    request.node.arena = made
    yield made
    problems = made.close()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def redis(arena):
    """A RedisServer with Redis's own defaults, keeping nothing on disk."""
    return arena.redis()


@pytest.fixture
def network(arena):
    """The test's Network, to which it adds hosts; needs root."""
    return arena.network()


@pytest.fixture
def manager(arena):
    """A service manager's end of NOTIFY_SOCKET, in the test's short folder under the name "notify"."""
    made = Manager(arena.short_folder / "notify")
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Each test has LIMIT_S seconds, or as many as @pytest.mark.limit says."""
    marker = item.get_closest_marker("limit")
    seconds = marker.args[0] if marker else LIMIT_S

    def expire(_number, _frame):
        raise TimeoutError("the test took longer than %d s" % seconds)

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    arena = getattr(item, "arena", None)
    if report.failed and arena is not None:
        report.sections += arena.logs()
