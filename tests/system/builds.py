"""
The build under test, and what follows from how it was made: with sanitizers
everything takes longer, transfers are smaller, and memory is not measured.

Environment: top_builddir, NRPC_PLAIN_BUILDDIR, NRPC_TEST_BYTES; see harness.py.
"""

import os
import pathlib

from tap import Failure, expect

HERE = pathlib.Path(__file__).resolve().parent
GIB = 1 << 30
MIB = 1 << 20
RSS_LIMIT = 64 * MIB


def _find_builddir():
    given = os.environ.get("top_builddir") or os.environ.get("abs_top_builddir")
    for place in filter(None, [given, os.getcwd(), HERE.parent.parent]):
        if (pathlib.Path(place) / "client" / "nrpc-tunnel").exists():
            return pathlib.Path(place).resolve()
    raise SystemExit("Bail out! no client/nrpc-tunnel here: set top_builddir "
                     "to the build directory")


def _is_sanitized(builddir):
    program = builddir / "client" / "nrpc-tunnel"
    return b"__asan_init" in program.read_bytes()


BUILDDIR = _find_builddir()
SANITIZED = _is_sanitized(BUILDDIR)


def plain_builddir():
    """The build whose memory can be measured; fails if there is none."""
    given = os.environ.get("NRPC_PLAIN_BUILDDIR")
    if given:
        place = pathlib.Path(given).resolve()
        if _is_sanitized(place):
            raise Failure("NRPC_PLAIN_BUILDDIR=%s is built with sanitizers"
                          % place)
        return place
    if not SANITIZED:
        return BUILDDIR
    raise Failure("memory cannot be measured with sanitizers: set "
                  "NRPC_PLAIN_BUILDDIR to a build without them")


def builds_to_run(tap):
    """
    The builds a test of volume and memory runs with, each with whether its
    memory is measured: the one under test and, if that has sanitizers, a
    plain one as well. Without any plain one that is a failed check.
    """
    if not SANITIZED:
        return [(BUILDDIR, True)]
    tap.note("%s: memory not measured: sanitizers" % BUILDDIR)
    builds = [(BUILDDIR, False)]
    with tap.check("there is a build whose memory can be measured"):
        builds.append((plain_builddir(), True))
    return builds


def large(plain=GIB, sanitized=64 * MIB, build=None):
    """Bytes of a large transfer for the programs of this build."""
    size = sanitized if _is_sanitized(build or BUILDDIR) else plain
    given = os.environ.get("NRPC_TEST_BYTES")
    return min(int(given), size) if given else size


def patience(seconds):
    """A deadline: the sanitizers make everything a few times slower."""
    return seconds * 4 if SANITIZED else seconds


def check_memory(tap, *processes):
    """Resident memory never was above the limit (plain builds only)."""
    for p in processes:
        with tap.check("%s stayed below %d MiB of resident memory" % (
                p.name, RSS_LIMIT // MIB)):
            peak = p.peak_rss()
            tap.note("%s peak %.1f MiB" % (p.name, peak / MIB))
            expect(peak < RSS_LIMIT, "peak was %.1f MiB" % (peak / MIB))
