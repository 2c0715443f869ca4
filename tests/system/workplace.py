"""
A directory, the programs started in it, and their end. Knows nothing of what
the programs are: that is in gateway.py, nginx.py, client.py and standins.py.
"""

import atexit
import collections
import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from builds import BUILDDIR, HERE, patience
from process import Process
from tap import Failure, expect


def reserve_port():
    """
    A port of 127.0.0.1 that is ours until the socket is closed. It is bound
    and does not listen: connections to it are refused, and a server that sets
    SO_REUSEADDR, as all here do, can listen there, and again after a restart.
    """
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    return s


class Workplace:
    """Where programs run; as a context, all of them end with it."""

    web_address = "127.0.0.1"
    web_host = "localhost"

    def __init__(self, tap, name, build=None):
        self.tap = tap
        self.build = build or BUILDDIR
        self.directory = pathlib.Path(tempfile.mkdtemp(
            prefix="nrpc-%s-" % name))
        # The gateway runs as another user and has to reach its files.
        self.directory.chmod(0o755)
        self.processes = []
        self.reserved = []
        self.names = collections.Counter()
        self.failed_before = tap.failed
        self.is_root = os.geteuid() == 0
        self.nobody = pwd.getpwnam("nobody") if self.is_root else None
        self.env = {k: v for k, v in os.environ.items()
                    if k.lower() not in ("http_proxy", "https_proxy",
                                         "all_proxy", "no_proxy")}
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        atexit.register(self._kill_all)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, (Failure, OSError)):
            # Setting up went wrong: a failed check of its own.
            self.tap._report(False, "the programs start")
            self.tap.note(value)
        self._kill_all()
        for s in self.reserved:
            s.close()
        for p in self.processes:
            for line in p.complaints():
                self.tap._report(False, "%s ran clean" % p.name)
                self.tap.note(line)
                self.tap.note(p.tail(60))
                break
        if (self.tap.failed > self.failed_before
                or os.environ.get("NRPC_TEST_KEEP")
                or (kind is not None and kind is not SystemExit)):
            self.tap.note("kept: %s" % self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self._kill_all)
        return kind is not None and issubclass(kind, (Failure, OSError))

    def _kill_all(self):
        for p in reversed(self.processes):
            if p.running():
                # A leak is only reported by a program that may end itself.
                p.signal(signal.SIGTERM)
        end = time.monotonic() + patience(3)
        for p in reversed(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.popen.wait(max(0.01, end - time.monotonic()))
            p.kill()

    def _name(self, base):
        self.names[base] += 1
        count = self.names[base]
        return base if count == 1 else "%s%d" % (base, count)

    def _keep(self, process):
        self.processes.append(process)
        return process

    def within(self, kind):
        """
        What a program is started by: nothing, unless a kind of world has
        "client", "guest", "gateway" or "nginx" elsewhere.
        """
        return []

    def program(self, path):
        return self.build / path

    def source(self, path):
        """A file of the sources."""
        return HERE.parent.parent / path

    def process(self, name, argv):
        """Any other program, ended with the rest."""
        return self._keep(Process(self._name(name), argv, self.directory,
                                  self.env))

    def run(self, *argv, ok=True, timeout=30):
        """A short command; its output. ok=False: it has to fail."""
        done = subprocess.run([str(a) for a in argv], cwd=self.directory,
                              env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT,
                              timeout=patience(timeout))
        if ok is not None:
            expect((done.returncode == 0) == ok, "%s: status %d\n%s" % (
                " ".join(map(str, argv)), done.returncode, done.stdout))
        expect(done.returncode >= 0 and "Sanitizer" not in done.stdout,
               "%s: status %d\n%s" % (" ".join(map(str, argv)),
                                      done.returncode, done.stdout))
        return done.stdout

    def give(self, path):
        """Make a file or directory the gateway's, when it changes user."""
        if self.is_root:
            os.chown(path, self.nobody.pw_uid, self.nobody.pw_gid)

    def port(self):
        s = reserve_port()
        self.reserved.append(s)
        return s.getsockname()[1]

    def deaf_address(self):
        """An address where connecting neither works nor fails."""
        s = reserve_port()
        s.listen(0)
        self.reserved.append(s)
        for _ in range(4):
            fill = socket.socket()
            fill.setblocking(False)
            fill.connect_ex(s.getsockname())
            self.reserved.append(fill)
        return "127.0.0.1:%d" % s.getsockname()[1]
