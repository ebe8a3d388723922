"""The fuzz targets, and what all runs of one have in common."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
NAMES = (
    "url",
    "uri",
    "duration",
    "options",
    "reply",
    "store",
    "keeper",
    "keeper_link",
    "tls",
    "http",
)
LIMITS = ("-timeout=60", "-rss_limit_mb=2048", "-malloc_limit_mb=64", "-max_len=2048")
# What has to be said in more bytes than others; the last of two such options counts.
LONGER = {"http": "-max_len=4096"}


def corpus(target):
    """Where its seeds are."""
    return str(HERE / "corpus" / target)


def arguments(target):
    """The options that all its runs have, but for the inputs."""
    dictionary = HERE / (target + ".dict")
    longer = [LONGER[target]] if target in LONGER else []
    return [*LIMITS, *longer, *(["-dict=%s" % dictionary] if dictionary.exists() else [])]
