"""
What a system test says: one line of TAP for each check. Whatever a check
raises makes it fail, and the test goes on.
"""

import contextlib
import os
import signal
import sys
import time
import traceback

TEST_TIMEOUT_S = 900


class Failure(Exception):
    """A check failed; the text says what was seen."""


class Tap:
    """One line per check; goes on after a failure."""

    def __init__(self, timeout=TEST_TIMEOUT_S):
        self.count = 0
        self.failed = 0
        self.timeout = int(timeout)
        signal.signal(signal.SIGTERM, _interrupted)
        signal.signal(signal.SIGINT, _interrupted)
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(self.timeout)

    def _too_long(self, signum, frame):
        print("Bail out! the test took longer than %d s" % self.timeout,
              flush=True)
        traceback.print_stack(frame)
        raise SystemExit(1)

    def note(self, text):
        for line in str(text).splitlines():
            print("# " + line, flush=True)

    def _report(self, good, name):
        self.count += 1
        if not good:
            self.failed += 1
        print("%sok %d - %s" % ("" if good else "not ", self.count, name),
              flush=True)

    @contextlib.contextmanager
    def check(self, name):
        """The body is the check: whatever it raises makes it fail."""
        started = time.monotonic()
        try:
            yield
        except Failure as e:
            self._report(False, name)
            self.note(e)
        except Exception:  # a mistake in the test is a failure as well
            self._report(False, name)
            self.note(traceback.format_exc())
        else:
            self._report(True, name)
        if os.environ.get("NRPC_TEST_TIMES"):
            self.note("%.2f s" % (time.monotonic() - started))

    def finish(self):
        signal.alarm(0)
        print("1..%d" % self.count, flush=True)
        sys.exit(1 if self.failed else 0)


def _interrupted(signum, frame):
    raise SystemExit("interrupted by signal %d" % signum)


def expect(condition, text):
    if not condition:
        raise Failure(text)
