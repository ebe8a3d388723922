"""Image size and build time."""

import os
import sys
import time

from tests.bench.table import Row
from tests.docker import engine as engines

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
    """The rows; none where there can be no engine."""
    try:
        with engines.Engine() as engine:
            return measure_on(engine, rounds)
    except engines.Skip as reason:
        print("not measured: the container image: %s" % reason, file=sys.stderr)
        return []


def measure_on(engine, rounds):
    made = engines.prepare_base()
    try:
        whole = [build_s(engine, "--no-cache") for _ in range(rounds)]
        again = [build_s(engine) for _ in range(rounds)]
        total = size_mb(TAG)
        own = total - size_mb(os.environ.get("BASE", engines.OFFICIAL_BASE))
    finally:
        engines.succeeds(["docker", "rmi", TAG, *made])
    return [
        Row("container image", "MB", [total]),
        Row("container image without its base", "MB", [own]),
        Row("build of the image, packages from a mirror", "s", whole),
        Row("build of the image, nothing changed", "s", again),
    ]
