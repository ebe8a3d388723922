"""What is run: leaderwrap, and the programs of tests/helpers, as meson has built them."""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def build_folder():
    """Where builds are made, each in a folder of its own."""
    return pathlib.Path(os.environ.get("LEADERWRAP_BUILD", ROOT / "build")).absolute()


def build_plain(*targets):
    """Brings these of the plain build up to date; returns its folder. Raises RuntimeError with what
    the compiler says."""
    plain = build_folder() / "plain"
    commands = [["ninja", "-C", plain, *targets]]
    if not (plain / "build.ninja").exists():
        commands.insert(0, ["meson", "setup", plain, ROOT])
    for command in commands:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
    return plain


def leaderwrap_binary():
    path = pathlib.Path(os.environ.get("LEADERWRAP", ROOT / "build" / "plain" / "leaderwrap"))
    assert os.access(path, os.X_OK), "%s is not built (or LEADERWRAP names something else)" % path
    return path.resolve()


def has_http():
    """Whether the server of --http is beside leaderwrap, or linked in: a status that only it knows."""
    binary = leaderwrap_binary()
    beside = binary.parent / "leaderwrap-http.so"
    return beside.exists() or b"Misdirected Request" in binary.read_bytes()


def helper(name):
    """The path of a program or library of tests/helpers: beside leaderwrap, unless LEADERWRAP_TOOLS
    names another folder."""
    folder = os.environ.get("LEADERWRAP_TOOLS")
    path = pathlib.Path(folder or leaderwrap_binary().parent / "tests" / "helpers", name)
    # The loader would do without a library that is not there.
    assert path.exists(), "%s is not built" % path
    return path
