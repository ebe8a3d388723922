"""What the documents say in numbers and names, held against the program."""

import re
import subprocess
import sys

from rights import OF_NODES, OF_SENTINELS, RIGHTS

from tests.lib.programs import ROOT, leaderwrap_binary


def read(*path):
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def check_numbers(arena, *arguments):
    """The times that --check derives. There need be no server for that."""
    done = arena.run("--check", "--redis", "unix:///nonexistent", *arguments, "--", "true")
    return dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())


def test_the_time_line_is_drawn_from_what_the_program_tells():
    command = [sys.executable, ROOT / "doc" / "timeline", "--program", leaderwrap_binary()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == read("doc", "timeline.svg"), "run doc/timeline >doc/timeline.svg"


def test_the_readme_tells_the_default_deadlines(arena):
    warning = re.search(r"> \*\*Redis away.*?\n\n", read("README.md"), re.DOTALL)[0]
    told = re.findall(r"\d+\.\d+ s", warning)
    expected = []
    for arguments in ((), ("--ttl", "1m")):
        numbers = check_numbers(arena, *arguments)
        expected += [numbers["stopped (TERM) after a last renewal"]]
        expected += [numbers["dead (KILL) after a last renewal"]]
        expected += [numbers["outage of redis that is ridden out"]]
    assert told == expected


def test_the_table_of_ttls_is_what_check_says(arena):
    section = read("doc", "OPERATIONS.md").split("\n## Choose the TTL\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`.*?\| (.*) \|$", section, re.MULTILINE)
    assert len(rows) >= 4
    for ttl, cells in rows:
        numbers = check_numbers(arena, "--ttl", ttl)
        outage, stop, kill, failover = cells.split(" | ")
        assert outage == numbers["outage of redis that is ridden out"], ttl
        assert stop == numbers["stopped (TERM) after a last renewal"], ttl
        assert kill == numbers["dead (KILL) after a last renewal"], ttl
        worst = numbers["failover after a crash, at worst"]
        assert failover == "%s, at worst %s" % (numbers["ttl"], worst), ttl


def test_the_permissions_are_those_that_the_tests_grant():
    """Others try that these are enough, and that each is needed."""
    section = read("doc", "REDIS.md").split("\n## Permissions\n")[1]
    needed = section.split("ACL SETUSER leaderwrap on ")[1].split("\n```")[0]
    assert set(re.findall(r"\+(\S+)", needed)) == set(RIGHTS)
    assert set(re.findall(r"\+(sentinel\|[a-z-]+)", section)) == set(OF_SENTINELS)
    in_a_cluster = section.split("In a cluster it needs `")[1].split("`")[0]
    assert in_a_cluster.split() == ["+" + right for right in OF_NODES]


def copies_in(text):
    return re.findall(r"COPY --from=leaderwrap [^`\n]+", text)


def test_an_image_of_ones_own_is_made_as_the_lab_tries_it():
    """tests/docker takes its lines from docker/README.md."""
    tried = copies_in(read("docker", "README.md"))
    assert len(tried) == 2
    assert copies_in(read("doc", "OPERATIONS.md")) == tried
    assert copies_in(read("README.md")) == tried[:1]


def test_the_figures_of_a_log_line_are_those_of_the_event(arena):
    """The first lines in the guide are a real log; its second line must still be so."""
    done = arena.run(
        "--redis", "unix:///nonexistent", "--once", "--log-level", "info", "--", "true"
    )
    (line,) = [line for line in done.stderr.splitlines() if ": ttl 15 s" in line]
    assert line.split(": ", 1)[1] in read("doc", "GUIDE.md")


def test_the_demo_in_the_readme_is_that_of_the_guide():
    shown = read("README.md").split("$ ./examples/demo\n")[1].split("\n```")[0].splitlines()
    whole = read("doc", "GUIDE.md").split("Building leaderwrap")[1].split("\n```")[0].splitlines()
    assert len(shown) >= 10
    assert [line for line in whole if line in shown] == shown
