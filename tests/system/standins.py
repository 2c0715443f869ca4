"""
The programs of tests/support: stand-in Domino servers, guests that talk to
them as Notes does, and what is put in between: links that can be cut or
slowed (relay) and a web server's mischief.
"""

import contextlib
import json
import signal

from builds import patience
from process import Process
from tap import Failure, expect
from workplace import Workplace


class Listening(Process):
    """A program that says where it listens."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        try:
            self.address = self.wait_line(
                r"listen address=(127\S+)").group(1)
        except Failure:
            self.kill()
            raise

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])


class Guest:
    """A guest that runs beside the test."""

    def __init__(self, process):
        self.process = process

    def result(self, timeout=150, ok=True):
        """Its line of JSON; a failure unless it went as `ok` says."""
        status = self.process.wait_exit(timeout)
        lines = [x for x in self.process.lines if x.startswith("{")]
        expect(lines, "%s ended with status %s and no result\n%s"
               % (self.process.name, status, self.process.tail()))
        result = json.loads(lines[-1])
        expect(not self.process.complaints(), self.process.tail(60))
        if ok is not None:
            expect(result["ok"] == ok, "%s: %s\n%s" % (
                " ".join(self.process.argv[1:]),
                result.get("error", "went well"), self.process.tail(3)))
        return result


class WithStandins(Workplace):
    """Servers, guests and links."""

    def domino(self, name, *options, listen="127.0.0.1:0"):
        return self._keep(Listening(
            self._name("domino"), [self.program("tests/support/domino"),
                                   "--listen", listen, "--name", name,
                                   *options], self.directory, self.env))

    def relay(self, to, *options):
        return self._keep(Listening(
            self._name("relay"), [self.program("tests/support/relay"),
                                  "--listen", "127.0.0.1:0", "--to", to,
                                  *options], self.directory, self.env))

    def mischief(self, to, *options):
        return self._keep(Listening(
            self._name("mischief"), [self.program("tests/support/mischief"),
                                     "--listen", "127.0.0.1:0", "--to", to,
                                     *options], self.directory, self.env))

    def guest_start(self, scenario, address, **options):
        argv = [*self.within("guest"), self.program("tests/support/guest"),
                scenario, address]
        options.setdefault("timeout", int(patience(120)))
        for key, value in options.items():
            argv.append("--" + key.replace("_", "-"))
            if value is not True:
                argv.append(value)
        return Guest(self._keep(Process(self._name("guest-" + scenario), argv,
                                        self.directory, self.env)))

    @contextlib.contextmanager
    def guest_stalls(self, address, **options):
        """In this block guests read nothing; after it everything arrives."""
        guest = self.guest_start("down", address, stall_after=1000, **options)
        guest.process.wait_line("^stalled$")
        yield
        expect(guest.process.running(), "the stalled guest has ended")
        guest.process.signal(signal.SIGUSR1)
        guest.result()

    @contextlib.contextmanager
    def server_stalls(self, domino, address, connections=1, **options):
        """In this block the server reads nothing of guests' uploads."""
        since = domino.mark()
        guest = self.guest_start("up", address, connections=connections,
                                 stall_after=1000, server_stalls=True,
                                 **options)
        domino.wait_line("^stall id", since=since, count=connections)
        yield
        expect(guest.process.running(), "the stalled guest has ended")
        domino.signal(signal.SIGUSR1)
        guest.result()

    def guest(self, scenario, address, ok=True, **options):
        return self.guest_start(scenario, address, **options).result(ok=ok)
