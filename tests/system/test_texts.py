"""One table, every text: --help, the man pages, the completions and doc/OPTIONS.md tell of the same
options, and of no others. Completions are asked in the real shells."""

import collections
import json
import os
import re
import subprocess

import pytest

from shells import SHELLS
from tests.lib.programs import ROOT, leaderwrap_binary

PROGRAMS = ("leaderwrap", "leaderctl")
OPTION = r"--([a-z][a-z-]*)"
# What a row shows of an option, and each text has to.
Row = collections.namedtuple("Row", "letter name argument")


def texts():
    """Where the build has put them."""
    return leaderwrap_binary().parent / "doc"


def output(*command):
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout


def text(name):
    return (texts() / name).read_text(encoding="utf-8")


def document():
    return (ROOT / "doc" / "OPTIONS.md").read_text(encoding="utf-8")


@pytest.fixture(params=PROGRAMS)
def program(request):
    return request.param


@pytest.fixture
def table(program):
    """What the sources say, anew: not what a build has made of them earlier."""
    return json.loads(output(texts() / ("describe-" + program)))


@pytest.fixture
def options(table):
    return table["options"]


@pytest.fixture
def help_text(program):
    return output(leaderwrap_binary().with_name(program), "--help")


def rows(options):
    return [Row(o["letter"], o["name"], o["argument"]) for o in options]


def flags(options):
    return sorted(
        f for o in options for f in (o["letter"] and "-" + o["letter"], "--" + o["name"]) if f
    )


def plain(roff):
    """A text of roff without its escapes."""
    return re.sub(r"\\f[BP]|\\[&:]", "", roff).replace("\\-", "-").replace("\\(aq", "'")


def test_a_table_that_cannot_be_written_fails_the_build(program):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([texts() / ("describe-" + program)], stdout=full, check=False)
    assert done.returncode == 1


def joined(words):
    return " ".join(words.split())


# --help


def in_help(help_text):
    """The rows of the help text, and what is said of each."""
    found = re.findall(
        r"^  (?:-(\w), |    )%s(?: (\S+))?\s+((?:.|\n {20,})*)" % OPTION, help_text, re.MULTILINE
    )
    return {
        Row(l or None, name, argument or None): joined(said) for l, name, argument, said in found
    }


def test_help_has_each_row_with_its_default(options, help_text):
    told = in_help(help_text)
    assert list(told) == rows(options)
    for option, said in zip(options, told.values()):
        default = "; default " + option["default"] if option["default"] else ""
        assert said == joined(option["help"]) + default


def test_help_has_each_command(table, help_text):
    lines = help_text.partition("\nCommands:\n")[2].partition("\n\n")[0].splitlines()
    found = [re.split(" {2,}", line.strip())[0] for line in lines if line[2] != " "]
    commands = [" ".join(filter(None, (c["word"], c["arguments"]))) for c in table["commands"]]
    assert found == commands


def test_an_argument_shows_the_words_that_are_taken(options):
    for option in options:
        if option["words"]:
            assert option["argument"] == "|".join(option["words"])


# Man pages


def items(page, section):
    """The items of a section with what stands below each."""
    part = page.split("\n.Sh %s\n" % section)[1].split("\n.Sh ")[0]
    return [item.partition("\n")[::2] for item in part.split("\n.It ")[1:]]


def test_the_man_page_has_each_row(program, options):
    found = items(text(program + ".1"), "OPTIONS")
    heads = [
        ("Fl %s , " % o["letter"] if o["letter"] else "") + "Fl -" + o["name"] for o in options
    ]
    arguments = [" Ar " + o["argument"] if o["argument"] else "" for o in options]
    assert [plain(head) for head, _ in found] == [h + a for h, a in zip(heads, arguments)]
    for option, (_, body) in zip(options, found):
        said = joined(plain(body))
        help_line = re.sub(r"^\w", lambda m: m[0].upper(), option["help"])
        assert help_line in said or option["help"] in said
        expected = {"Default": option["default"], "Variable": option["variable"]}
        if option["kind"] == "number":
            expected["Range"] = "%d to %d" % (option["least"], option["most"])
        if option["above_0"]:
            expected["Range"] = "more than 0"
        facts = re.findall(r"^\.br\n(\w+): (.*)$", plain(body), re.MULTILINE)
        assert dict(facts) == {name: fact for name, fact in expected.items() if fact}


def test_the_man_page_has_each_command_and_each_variable(program, table):
    page = text(program + ".1")
    if table["commands"]:
        found = [plain(head).split()[1] for head, _ in items(page, "COMMANDS")]
        assert found == [command["word"] for command in table["commands"]]
    variables = re.findall(r"^\.It Ev (\w+) Ns = Ns Ar", page, re.MULTILINE)
    assert variables == [o["variable"] for o in table["options"] if o["variable"]]


def statuses(lines):
    return re.findall(r"^ *\|? *(\d+(?:, \d+)*)\b", lines, re.MULTILINE)


def test_man_page_help_and_document_have_the_same_exit_statuses(program, help_text):
    in_help_text = help_text.split("Exit status:")[1]
    expected = re.findall(r"^  (\d+) ", in_help_text, re.MULTILINE)
    assert len(expected) > 6
    assert [head for head, _ in items(text(program + ".1"), "EXIT STATUS")] == expected
    section = document().split("\nOf %s:\n" % program)[1].split("\nOf ")[0].split("\n## ")[0]
    cells = " ".join(line.split("|")[1] for line in section.splitlines() if line[:3] > "| -")
    assert [
        n for n in re.findall(r"\b\d+\b", cells) if n not in ("1", "128") or program != "leaderwrap"
    ] == expected


@pytest.mark.parametrize("page", ["leaderwrap.1", "leaderctl.1", "leaderwrap.7"])
def test_man_pages_are_clean(page, tmp_path):
    path = ROOT / "doc" / "man" / page if page.endswith("7") else texts() / page
    assert output("mandoc", "-Tlint", "-W", "warning", path) == ""
    # All warnings but that a long address stands alone in its line.
    formatted = output("groff", "-mandoc", "-ww", "-Wbreak", "-Tutf8", path)
    assert len(formatted) > 3000
    wrong = tmp_path / page
    wrong.write_text(
        path.read_text(encoding="utf-8") + ".Sh\n.No such\\[thing]\n", encoding="utf-8"
    )
    assert subprocess.run(
        ["mandoc", "-Tlint", "-W", "warning", wrong], capture_output=True, check=False
    ).returncode


# doc/OPTIONS.md


def test_the_document_has_the_table(program):
    part = document().split("<!-- %s -->\n" % program)[1].split("<!-- end of %s -->" % program)[0]
    assert part == text(program + ".md"), "run: ninja -C BUILD update-options"


def test_the_table_of_the_document_has_each_row(program, table):
    cells = [re.split(r" (?<!\\)\| ", line[2:-2]) for line in text(program + ".md").splitlines()]
    found = [row for row in cells if row[0].startswith("`-")]
    assert len(found) == len(table["options"])
    for option, row in zip(table["options"], found):
        name = "--" + " ".join(filter(None, (option["name"], option["argument"])))
        shown = [cell.replace("\\", "").replace("&lt;", "<") for cell in row]
        letter = "`-%s`, " % option["letter"] if option["letter"] else ""
        assert shown[0] == letter + "`%s`" % name
        assert shown[1].strip() == (option["default"] or "")
        assert shown[2].startswith(option["help"])
        assert shown[3].strip(" `") == (option["variable"] or "")


# Completions: their texts


def test_the_completion_for_fish_has_each_row(program, options):
    lines = [l for l in text(program + ".fish").splitlines() if re.match(r"complete .* -l ", l)]
    found = [re.search(r"(?: -s (\w))? -l ([a-z-]+)", line).groups() for line in lines]
    assert found == [(o["letter"], o["name"]) for o in options]
    for option, line in zip(options, lines):
        assert bool(re.search(r" -[xr] ", line)) == bool(option["argument"])


def test_the_completion_for_zsh_has_each_row(program, options):
    pattern = r"^ +'(?:\(.*?\)|\*)(-{1,2}[a-zA-Z][a-z-]*)[+=]?\["
    found = set(re.findall(pattern, text("_" + program), re.MULTILINE))
    assert sorted(found) == flags(options)


def test_the_completion_for_bash_has_each_row(program, options):
    found = re.findall(r"(?<![\w-])-{1,2}[a-zA-Z][a-z-]*", "\n".join(proposals(text(program))))
    assert sorted(set(found)) == flags(options)
    values = text(program).partition("case $1 in\n")[2].partition("esac")[0]
    takers = re.findall(r"(?<![\w-])-{1,2}[a-zA-Z][a-z-]*(?= \||\))", values)
    assert sorted(takers) == flags(o for o in options if o["argument"])


def proposals(script):
    """The lists of options in a completion for bash."""
    yield from re.findall(r'options=(".*")', script)
    yield from re.findall(r'options\+=(".*")', script)
    yield from re.findall(r'compgen -W ("-.*?")', script)


# Completions: what shells make of them


@pytest.fixture(params=sorted(SHELLS))
def complete(request, tmp_path):
    """Returns what the shell proposes at the end of a line."""
    (tmp_path / "first file").touch()
    (tmp_path / "firm").mkdir()
    return lambda line: {
        word.rstrip("/") for word in SHELLS[request.param](texts(), line, tmp_path)
    }


def long_names(options):
    return {"--" + option["name"] for option in options}


def test_shells_propose_all_options(complete):
    (leaderwrap,) = [json.loads(text("leaderwrap.json"))["options"]]
    assert complete("leaderwrap --") >= long_names(leaderwrap)
    assert complete("leaderwrap --on-l") == {"--on-lost", "--on-lose"}


def test_shells_propose_values(complete):
    assert complete("leaderwrap --on-lost ") == {"wait", "exit"}
    assert {w.split("=")[-1] for w in complete("leaderwrap --restart=o")} == {"on-failure"}
    assert complete("leaderwrap --wait ") == {"0", "forever"}
    assert complete("leaderwrap --cacert fir") >= {"firm"}
    assert complete("leaderwrap -k first --password-file firm") == {"firm"}
    assert "mandoc" in complete("leaderwrap --health-cmd mando")


@pytest.mark.parametrize(
    "before", ["--", "", "--redis redis://a:1 --once --", "-k k --ttl=3s", "--redis=redis://a"]
)
def test_shells_complete_the_command_as_such(complete, before):
    assert "mandoc" in complete("leaderwrap %s mando" % before)
    assert complete("leaderwrap %s probe --v" % before) == {"--vivid", "--vague"}


def test_shells_propose_leaderctl_s_commands_and_their_options(complete):
    table = json.loads(text("leaderctl.json"))
    assert complete("leaderctl ") == {command["word"] for command in table["commands"]}
    assert complete("leaderctl --redis redis://x:1 st") == {"status", "step-down"}
    for command in ("ls", "step-down", "serve"):
        expected = [o for o in table["options"] if not o["commands"] or command in o["commands"]]
        assert complete("leaderctl %s --" % command) == long_names(expected)
    assert complete("leaderctl serve --token-file firm") == {"firm"}


# Installed


def test_meson_installs_them_in_the_usual_places(tmp_path):
    build = leaderwrap_binary().parent
    introspected = json.loads(output("meson", "introspect", "--installed", build))
    places = {os.path.relpath(path, "/") for path in introspected.values()}
    for program in PROGRAMS:
        for place in (
            "man/man1/%s.1",
            "bash-completion/completions/%s",
            "zsh/site-functions/_%s",
            "fish/vendor_completions.d/%s.fish",
        ):
            assert any(p.endswith("share/" + place % program) for p in places), place
    assert any(p.endswith("share/man/man7/leaderwrap.7") for p in places)
