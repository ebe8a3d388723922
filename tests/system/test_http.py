"""--http and --metrics-file: what load balancers, probes and scrapers are told."""

import http.client
import json
import os
import signal
import socket
import time

import pytest

from tests.lib import programs, wait_until
from tests.lib.redis import free_port

pytestmark = pytest.mark.skipif(not programs.has_http(), reason="built without HTTP")


def ask(port, path, method="GET", timeout=5):
    """(status, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def status(port, path):
    return ask(port, path)[0]


@pytest.fixture
def serve(arena, redis):
    """Starts a candidate with --http; returns (its Worker, the port)."""

    def start(*options, command=("sleep", "600"), **more):
        port = free_port()
        worker = arena.worker(
            "--assume-fresh", "--http", "127.0.0.1:%d" % port, *options,
            command=command, redis=redis, **more,
        )  # fmt: skip
        return worker, port

    return start


def parsed(text):
    """The samples by name and labels, read by Prometheus's own parser."""
    parser = pytest.importorskip("prometheus_client.parser")
    families = list(parser.text_string_to_metric_families(text))
    assert families and all(f.documentation and f.type != "unknown" for f in families)
    return {
        (s.name, *sorted(v for k, v in s.labels.items() if k != "key")): s.value
        for family in families
        for s in family.samples
    }


def test_a_leader_and_a_follower(serve):
    leader, port = serve(ttl="60s")
    leader.wait_event("started")
    follower, other = serve(ttl="60s")
    follower.wait_event("waiting")
    assert [status(port, path) for path in ("/leader", "/follower")] == [200, 503]
    assert [status(other, path) for path in ("/leader", "/follower")] == [503, 200]
    for number in (port, other):
        assert [status(number, path) for path in ("/livez", "/readyz", "/x")] == [200, 200, 404]
    assert ask(other, "/leader", "HEAD") == (503, "")
    assert ask(port, "/leader", "HEAD") == (200, "")
    assert ask(port, "/leader", "OPTIONS")[0] == 200
    assert ask(port, "/leader", "POST")[0] == 405
    told = json.loads(ask(port, "/status")[1])
    assert (told["role"], told["command"]["pid"]) == ("leader", leader.child)
    assert 0 < told["lease_left_ms"] < 60000
    assert json.loads(ask(other, "/status")[1])["leader"] == leader.name
    leader.stop()
    follower.wait_event("started")
    assert status(other, "/leader") == 200


def test_ready_is_who_hears_of_redis_and_alive_who_runs(serve, redis):
    worker, port = serve(ttl="1s")
    worker.wait_event("started")
    assert status(port, "/readyz") == 200
    redis.freeze()
    wait_until(lambda: status(port, "/readyz") == 503)
    wait_until(lambda: status(port, "/leader") == 503)
    assert status(port, "/livez") == 200
    redis.thaw()
    wait_until(lambda: status(port, "/readyz") == 200)


def test_a_stopped_elector_says_nothing_and_then_no_lie(serve):
    worker, port = serve(ttl="2s")
    worker.wait_event("started")
    worker.sigstop()
    with pytest.raises(TimeoutError):
        ask(port, "/leader", timeout=0.3)
    # Asked while it stands still, and answered when the deadline is over.
    asked = socket.create_connection(("127.0.0.1", port), 10)
    asked.sendall(b"GET /leader HTTP/1.1\r\n\r\n")
    wait_until(lambda: worker.child is None)
    worker.cont()
    assert asked.recv(100).startswith(b"HTTP/1.1 503")
    asked.close()


def test_a_hundred_slow_clients_delay_no_renewal(serve, arena):
    worker, port = serve("--renew", "300ms", ttl="15s", command=arena.beat())
    worker.wait_event("started")
    slow = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(100)]
    mark = worker.mark()
    for turn in range(20):
        for client in slow:
            try:
                client.sendall(b"GET /leader HTTP/1.1\r\nX: "[turn : turn + 1] or b"x")
            except OSError:
                pass
        assert status(port, "/leader") == 200
        time.sleep(0.1)
    assert len(worker.find("renewed", after=mark)) >= 4
    assert not worker.find("renew_failed", after=mark)
    for client in slow:
        client.close()
    worker.stop()
    with open(arena.beats(), encoding="ascii") as file:
        assert file.read()


def test_what_is_no_file_is_not_replaced_by_one(arena, redis):
    pipe = arena.folder / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, arena.folder, "/dev/null"):
        before = os.stat(path)
        for more in ([], ["--once"]):
            options = ["--redis", redis.url(), "--key", "test", "--metrics-file", str(path), *more]
            done = arena.run(*options, "--", "true")
            assert done.returncode == 125
            assert "is no file, and would be replaced by one" in done.stderr
        after = os.stat(path)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def test_the_metrics_are_what_a_parser_expects(serve):
    worker, port = serve("--renew", "200ms", ttl="3s", key='a"b\\c')
    worker.wait_event("renewed")
    seen = parsed(ask(port, "/metrics")[1])
    assert seen["leaderwrap_leader",] == seen["leaderwrap_redis_up",] == 1
    assert seen["leaderwrap_command_up",] == 1
    assert seen["leaderwrap_transitions_total", "elected"] == 1
    assert abs(seen["leaderwrap_term_start_time_seconds",] - time.time()) < 60
    assert 0 < seen["leaderwrap_lease_remaining_seconds",] < 3
    count = seen["leaderwrap_renewal_duration_seconds_count",]
    assert count >= 1 and seen["leaderwrap_renewal_duration_seconds_bucket", "+Inf"] == count


def test_a_job_leaves_a_file(arena, redis):
    path = arena.folder / "job.prom"

    def job(script):
        options = ["--redis", redis.url(), "--key", "test", "--once", "--hold", "0s"]
        options += ["--assume-fresh", "--metrics-file", path]
        arena.run(*options, "--", "sh", "-c", script)
        return parsed(path.read_text(encoding="ascii"))

    done = job("exit 0")
    assert done["leaderwrap_job_last_exit_status",] == 0
    success = done["leaderwrap_job_last_success_timestamp_seconds",]
    assert abs(success - time.time()) < 60
    # What a failure knows of the last success, it has from the file.
    failed = job("exit 3")
    assert failed["leaderwrap_job_last_exit_status",] == 3
    assert failed["leaderwrap_job_last_success_timestamp_seconds",] == success
    # Another one has the lease: nothing is to be said.
    redis.command("SET", "test", "somebody")
    assert job("exit 4") == failed
    assert [p.name for p in arena.folder.iterdir() if p.name.endswith(".tmp")] == []


def test_a_service_writes_the_file_again_and_again(arena, redis):
    path = arena.folder / "service.prom"
    worker = arena.worker(
        "--assume-fresh", "--metrics-file", path, command=["sleep", "600"], redis=redis
    )
    wait_until(lambda: path.exists() and " 1\n" in path.read_text(encoding="ascii"))
    wait_until(lambda: parsed(path.read_text(encoding="ascii"))["leaderwrap_leader",] == 1)
    worker.stop()
    assert parsed(path.read_text(encoding="ascii"))["leaderwrap_leader",] == 0


def test_a_port_in_use_and_a_bad_address(arena, redis, serve):
    worker, port = serve(ttl="60s")
    worker.wait_event("started")
    second, _ = serve("--http", "127.0.0.1:%d" % port)
    assert second.wait() == 125
    told = second.find("start_failed")[0]["message"]
    assert "cannot listen on --http 127.0.0.1:%d: Address already in use" % port in told
    assert not second.find("started")
    done = arena.run("--redis", redis.url(), "--http", "localhost:80", "--", "true")
    assert done.returncode == 64 and "numeric address" in done.stderr


def test_a_unix_socket_is_there_and_gone_and_replaced(arena, redis):
    path = arena.short_folder / "http.sock"

    def start():
        worker = arena.worker(
            "--assume-fresh", "--http", "unix:%s" % path,
            command=["sleep", "600"], redis=redis, ttl="60s",
        )  # fmt: skip
        worker.wait_event("started")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /leader HTTP/1.0\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        return worker

    start().kill9()
    assert path.exists()
    worker = start()
    assert worker.stop() == 128 + signal.SIGTERM
    assert not path.exists()
