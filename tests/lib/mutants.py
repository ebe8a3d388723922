"""The frame of all tests of tests: breaks a source in one place at a time, and counts who notices.

A mutant is a row: what is wrong, the file, then texts and their replacements in turn. Each text
stands in its file exactly once; one that does not (any more) is an error, said before anything runs.
"""

import argparse
import concurrent.futures
import glob
import os
import pathlib
import shlex
import subprocess
import sys
import typing

ROOT = str(pathlib.Path(__file__).resolve().parents[2])


class Caught(typing.NamedTuple):
    """How a mutant was noticed: two cells of the table."""

    by: str
    after: str


def parser(description, **more):
    """What all of them are called with."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, **more
    )
    made.add_argument("--jobs", type=int, default=os.cpu_count())
    made.add_argument("--only", default="", metavar="WORD", help="mutants with this in their name")
    made.add_argument("directory", metavar="BUILD_DIRECTORY")
    return made


def mutated(name, path, *replacements):
    """The text of the file with that fault in it."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    for old, new in zip(replacements[::2], replacements[1::2]):
        if text.count(old) != 1:
            count = text.count(old)
            sys.exit("mutants: '%s': %d times in %s, not once:\n%s" % (name, count, path, old))
        text = text.replace(old, new)
    return text


def try_all(mutants, options, hunt, label="mutants", before=lambda pool: None):
    """Tries those that --only names, several at a time, once `before` has built what they share.

    hunt(number, mutant) returns a Caught, or None where nobody noticed; one that cannot be built has
    failed, too. Prints a table and, as the
    last line, "LABEL: N passed, N failed". Returns the exit status.
    """
    chosen = [mutant for mutant in mutants if options.only in mutant[0]]
    for mutant in chosen:
        mutated(*mutant)
    width = max((len(mutant[0]) for mutant in chosen), default=6) + 2
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        before(pool)
        hunts = [pool.submit(hunt, number, mutant) for number, mutant in enumerate(chosen)]
        print("%-*s%-36s%s" % (width, "mutant", "caught by", "after"))
        for mutant, each in zip(chosen, hunts):
            try:
                caught, otherwise = each.result(), "NOT CAUGHT"
            except subprocess.CalledProcessError:
                caught, otherwise = None, "NOT BUILT"
            passed += caught is not None
            cells = caught or Caught(otherwise, "")
            print("%-*s%-35s %s" % (width, mutant[0], *cells), flush=True)
    print("%s: %d passed, %d failed" % (label, passed, len(chosen) - passed))
    return 0 if passed == len(chosen) and passed > 0 else 1


def main(description, mutants, make_builder, hunt):
    """The whole program, for mutants that a Builder makes: `build_program(pool)` makes what has no
    fault, `prepare(pool)` what all mutants share, and `build(number, mutant)` returns a mutant's
    program, which hunt(program) judges."""
    options = parser(description)
    options.add_argument("--cc", default=os.environ.get("CC", "cc"))
    options.add_argument("--build-only", action="store_true", help="only what has no fault")
    options = options.parse_args()
    builder = make_builder(options)
    if options.build_only:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            builder.build_program(pool)
        return 0
    return try_all(
        mutants,
        options,
        lambda number, mutant: hunt(builder.build(number, mutant)),
        before=builder.prepare,
    )


class Builder:
    """Compiles sources of the checkout, and copies of them, into a folder: an object each, which all
    programs share that are not about it."""

    def __init__(self, compiler, flags, includes, directory):
        self.compiler = [*shlex.split(compiler), *flags.split()]
        self.directory = os.path.abspath(directory)
        self._includes = includes
        os.makedirs(self.directory, exist_ok=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def object(self, source):
        return self.path(source.replace("/", "_") + ".o")

    def compile(self, source, path, output):
        """Compiles `source` as if it were at `path`."""
        folders = [*self._includes, os.path.dirname(path)]
        include = ["-I%s/%s" % (ROOT, folder) for folder in folders]
        subprocess.run([*self.compiler, *include, "-c", source, "-o", output], check=True)

    def compile_all(self, pool, sources):
        """Their objects, several at a time."""
        jobs = [
            pool.submit(self.compile, os.path.join(ROOT, path), path, self.object(path))
            for path in sources
        ]
        for job in jobs:
            job.result()

    def link(self, objects, output, libraries=()):
        subprocess.run([*self.compiler, *objects, *libraries, "-o", output], check=True)

    def is_current(self, program, sources, patterns):
        """Whether it is younger than its sources and all files that fit a pattern."""
        made = self.path(program)
        inputs = [os.path.join(ROOT, path) for path in sources]
        inputs += [path for pattern in patterns for path in glob.glob("%s/%s" % (ROOT, pattern))]
        return os.path.exists(made) and all(
            os.path.getmtime(path) < os.path.getmtime(made) for path in inputs
        )
