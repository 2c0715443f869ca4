"""
Programs under test: starting and ending them, waiting for what they say, and
what /proc says about them.
"""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from builds import patience
from tap import Failure, expect

_libc = ctypes.CDLL(None, use_errno=True)


PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PACKAGES = {"ip": "iproute2", "nft": "nftables", "nginx": "nginx-light",
            "haproxy": "haproxy", "apache2": "apache2-bin",
            "tinyproxy": "tinyproxy-bin"}


def tool(name):
    """Where a program of Debian's is; not everybody's PATH has daemons."""
    found = shutil.which(name, path=PATH + ":" + os.environ.get("PATH", ""))
    if not found:
        raise Failure("%s is missing; it is in Debian's %s"
                      % (name, PACKAGES.get(name, "util-linux")))
    return found


def wait_until(question, what, timeout=10, step=0.02):
    """For what nobody announces: ask again until it is true."""
    end = time.monotonic() + patience(timeout)
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise Failure("waited %g s in vain: %s" % (patience(timeout),
                                                       text))
        time.sleep(step)


def wait_settled(value, what, timeout, quiet_s=1.5):
    """Until what value() returns has been the same for a while."""
    seen, since = value(), time.monotonic()

    def settled():
        nonlocal seen, since
        now = value()
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since >= quiet_s
    wait_until(settled, what, timeout=timeout, step=0.1)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program under test and every line it writes."""

    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.log = open(directory / (name + ".log"), "ab")
        self.log.write(("$ %s\n" % " ".join(self.argv)).encode())
        self.log.flush()
        self.popen = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=directory, env=env,
            start_new_session=True, preexec_fn=_die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.popen.stdout:
            self.log.write(raw)
            self.log.flush()
            with self.changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip())
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        self.log.close()

    @property
    def pid(self):
        return self.popen.pid

    def mark(self):
        """A place in the log, for wait_line's `since`."""
        with self.changed:
            return len(self.lines)

    def tail(self, count=15):
        with self.changed:
            return "\n".join("  %s| %s" % (self.name, line)
                             for line in self.lines[-count:])

    def find(self, pattern, since=0):
        """All matches in lines that are there already."""
        with self.changed:
            found = [re.search(pattern, line) for line in self.lines[since:]]
        return [m for m in found if m]

    def wait_line(self, pattern, since=0, timeout=10, count=1):
        """Wait for the count-th line from `since` that matches."""
        end = time.monotonic() + patience(timeout)
        at = since
        with self.changed:
            while True:
                while at < len(self.lines):
                    m = re.search(pattern, self.lines[at])
                    at += 1
                    if m:
                        count -= 1
                        if count == 0:
                            return m
                left = end - time.monotonic()
                if self.ended or left <= 0:
                    break
                self.changed.wait(left)
        why = ("it has ended" if self.ended
               else "not within %g s" % patience(timeout))
        raise Failure("%s did not say /%s/: %s\n%s"
                      % (self.name, pattern, why, self.tail()))

    def expect_no_line(self, pattern, since=0):
        found = self.find(pattern, since)
        expect(not found, "%s said /%s/: %s" % (
            self.name, pattern, found[0].string if found else ""))

    def running(self):
        return self.popen.poll() is None

    def wait_listening(self, host, port):
        """For programs that do not say so themselves."""
        def connects():
            if not self.running():
                raise Failure("%s ended:\n%s" % (self.name, self.tail()))
            with socket.socket() as s:
                s.settimeout(1)
                return s.connect_ex((host, port)) == 0
        wait_until(connects, lambda: "%s listens\n%s" % (self.name,
                                                         self.tail()))

    def signal(self, signum):
        if self.running():
            self.popen.send_signal(signum)

    def wait_exit(self, timeout=10):
        try:
            status = self.popen.wait(patience(timeout))
        except subprocess.TimeoutExpired:
            raise Failure("%s still runs after %g s\n%s" % (
                self.name, patience(timeout), self.tail()))
        self.reader.join(5)
        return status

    def stop(self, timeout=10):
        """SIGTERM and wait; anything but a clean end is a failure."""
        self.signal(signal.SIGTERM)
        status = self.wait_exit(timeout)
        expect(status in (0, -signal.SIGTERM),
               "%s ended with status %s\n%s" % (self.name, status,
                                                self.tail(40)))

    def kill(self):
        """The end, whatever state it is in; its children too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self.reader.join(5)

    def complaints(self):
        """What a sanitizer or a crash has left behind."""
        bad = self.find(r"ERROR: \w*Sanitizer|runtime error:|Assertion .* failed"
                        r"|SUMMARY: \w*Sanitizer")
        return [m.string for m in bad]

    # -- /proc --

    def status_kib(self, field):
        text = pathlib.Path("/proc/%d/status" % self.pid).read_text()
        return int(re.search(field + r":\s*(\d+)", text).group(1))

    def rss(self):
        return self.status_kib("VmRSS") * 1024

    def peak_rss(self):
        return self.status_kib("VmHWM") * 1024

    def cpu_s(self):
        """Seconds of CPU, its own and the system's for it."""
        stat = pathlib.Path("/proc/%d/stat" % self.pid).read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))
