"""examples/prometheus: the rules are good, fire when they should, and name metrics that there are."""

import http.client
import json
import re
import shutil
import subprocess

import pytest

from tests.lib import programs
from tests.lib.programs import ROOT
from tests.lib.redis import free_port

EXAMPLE = ROOT / "examples" / "prometheus"


def promtool(*arguments):
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool")
    done = subprocess.run(
        ["promtool", *arguments], cwd=EXAMPLE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_configuration_and_rules_are_good():
    assert "7 rules found" in promtool("check", "config", "prometheus.yml")


def test_alerts_fire_when_they_should_and_only_then():
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def names_in(text):
    return set(re.findall(r"\bleaderwrap_[a-z_]+", text))


def test_the_metrics_that_are_named_exist(arena, redis):
    if not programs.has_http():
        pytest.skip("built without HTTP")
    port, file = free_port(), arena.folder / "job.prom"
    first = arena.worker("--assume-fresh", command=["sleep", "600"], redis=redis)
    first.wait_event("started")
    options = ["--http", "127.0.0.1:%d" % port, "--metrics-file", file]
    worker = arena.worker(*options, command=["true"], redis=redis)
    worker.wait_event("waiting")

    def scrape():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    there = names_in(scrape())
    # It takes over, and its command ends well: now it has to tell of both.
    first.stop()
    worker.wait()
    there |= names_in(file.read_text(encoding="utf-8"))
    dashboard = json.loads((EXAMPLE / "dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) > 7 and len({panel["id"] for panel in dashboard["panels"]}) == 7
    named = names_in((EXAMPLE / "alerts.yml").read_text(encoding="utf-8")) | names_in(str(queries))
    assert len(named) > 9 and named <= there, sorted(named - there)
    if shutil.which("promtool") is not None:
        subprocess.run(
            ["promtool", "check", "metrics"],
            input=file.read_bytes(),
            check=True,
            capture_output=True,
        )


def test_a_dashboard_shows_what_it_asks_for():
    text = (EXAMPLE / "dashboard.json").read_text(encoding="utf-8")
    assert all("$key" in query for query in re.findall(r'"expr": "(.*)"', text))
