"""Image size and build time, as rows for tests/bench/table.py.

    python3 tests/docker/measure.py      # prints them alone
"""

import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "bench")]
sys.dont_write_bytecode = True

import engine as engines  # noqa: E402
import table  # noqa: E402

TAG = "leaderwrap-measured"
DOCKERFILE = engines.ROOT / "docker" / "Dockerfile"


def size_mb(image):
    size = engines.run(["docker", "image", "inspect", "--format", "{{.Size}}", image])
    return int(size) / 1e6


def build_s(engine, *options):
    began = time.monotonic()
    engines.build(engine, DOCKERFILE, TAG, *options)
    return time.monotonic() - began


def measure(rounds=1):
    """The rows; raises engines.Skip where there can be no engine."""
    with engines.Engine() as engine:
        made = engines.prepare_base()
        try:
            whole = [build_s(engine, "--no-cache") for _ in range(rounds)]
            again = [build_s(engine) for _ in range(rounds)]
            total = size_mb(TAG)
            own = total - size_mb(os.environ.get("BASE", engines.OFFICIAL_BASE))
        finally:
            engines.succeeds(["docker", "rmi", TAG, *made])
    return [
        table.Row("container image", "MB", [total]),
        table.Row("container image without its base", "MB", [own]),
        table.Row("build of the image, packages from a mirror", "s", whole),
        table.Row("build of the image, nothing changed", "s", again),
    ]


def main():
    try:
        print(table.show(measure()))
    except engines.Skip as reason:
        print("not measured: %s" % reason)


if __name__ == "__main__":
    main()
