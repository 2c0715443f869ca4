"""
Where things are measured: a place is an emulated path between client and
server, a world is one such path that exists, with the target on its server
side and every program that is started in it.
"""

import contextlib
import dataclasses
import json
import re
import subprocess

from proc import Failure, LoadRun, Namespace, Process, cpu_seconds, pss_kib

CLIENT_ADDRESS = "10.135.2.1"
SERVER_ADDRESS = "10.135.2.2"
TARGET_PORT = 1352

# What is told in the report because figures depend on it. All but the
# congestion control are as the kernel has them.
SYSCTLS = (
    "net.ipv4.tcp_congestion_control", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem", "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat", "net.ipv4.tcp_early_retrans",
    "net.ipv4.tcp_recovery", "net.ipv4.tcp_limit_output_bytes",
    "net.core.rmem_max", "net.core.wmem_max", "net.core.default_qdisc",
)


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    title: str
    delay_ms: float = 0.0       # each way
    jitter_ms: float = 0.0      # on top, up to that, changing
    loss: float = 0.0           # percent of the packets, each way
    rate_mbit: float = 0.0      # 0: unlimited
    queue_ms: float = 0.0

    @property
    def local(self):
        """No link: everything on the loopback of one namespace."""
        return self.name == "loopback"

    def link_options(self):
        options = ["--delay-ms", "%g" % self.delay_ms]
        if self.jitter_ms:
            options += ["--jitter-ms", "%g" % self.jitter_ms]
        if self.loss:
            options += ["--loss", "%g" % self.loss]
        if self.rate_mbit:
            options += ["--rate-mbit", "%g" % self.rate_mbit]
        if self.queue_ms:
            options += ["--queue-ms", "%g" % self.queue_ms]
        return options


# "1 % loss" is of the packets of each direction. That is what reproduces
# known figures of plain TCP over 50 ms: of a small transaction's two packets
# one is lost in 2 % of the cases, so that p99 is a retransmission timeout,
# some 300 ms; and bulk gets 1.22 MSS / (RTT sqrt(1 %)), some 0.35 MB/s.
PLACES = {p.name: p for p in (
    Place("loopback", "loopback"),
    Place("wan", "50 ms", delay_ms=25),
    Place("wan100", "50 ms, 100 Mbit/s", delay_ms=25, rate_mbit=100,
          queue_ms=50),
    Place("loss", "50 ms, 1 % loss", delay_ms=25, loss=1),
)}


class World:
    """
    A place made anew for one contender: nothing that the kernel remembers of
    an earlier one (metrics of the path, connections in TIME_WAIT) is there.
    """

    def __init__(self, place, bench, directory, seed):
        self.place = place
        self.bench = bench
        self.directory = directory
        self.seed = seed
        self.parts = {}             # "client", "server", "nginx": processes
        self.namespaces = []
        self.loads = []
        self.link = None
        self.link_statistics = None
        self.facts = {}             # what contenders tell of themselves
        self.target = None
        self.wrong = None           # what the target had to object to
        self.count = 0
        directory.mkdir(mode=0o755)

    def __enter__(self):
        try:
            self._make()
        except BaseException:
            self._unmake()
            raise
        return self

    def __exit__(self, kind, value, trace):
        self._unmake()

    def _make(self):
        self.server_side = self._namespace()
        if self.place.local:
            self.client_side = self.server_side
            self.server_address = "127.0.0.1"
        else:
            self.client_side = self._namespace()
            self.server_address = SERVER_ADDRESS
            self._start_link()
        self.target_address = "%s:%d" % (self.server_address, TARGET_PORT)
        self.target = Process(
            "target", [self.bench.load, "serve", "--listen",
                       self.target_address],
            self.server_side, self.directory, stdin=subprocess.PIPE)
        self.target.wait_line(r"^listening ")

    def _namespace(self):
        n = Namespace()
        self.namespaces.append(n)
        n.sysctl_set("net.ipv4.tcp_congestion_control",
                     self.bench.congestion)
        return n

    def _start_link(self):
        self.link = Process(
            "link", [self.bench.link,
                     "--left", "%s,tun0,%s/24" % (self.client_side.path,
                                                  CLIENT_ADDRESS),
                     "--right", "%s,tun0,%s/24" % (self.server_side.path,
                                                   SERVER_ADDRESS),
                     "--seed", self.seed, *self.place.link_options()],
            self.server_side, self.directory, stdin=subprocess.PIPE)
        self.link.wait_line(r"^ready")

    def _unmake(self):
        for load in self.loads:
            load.abandon()
        for p in reversed([p for ps in self.parts.values() for p in ps]):
            p.stop()
        if self.target:
            self._stop_target()
        if self.link:
            self.link.stop()
            lines = [x for x in self.link.output().splitlines()
                     if x.startswith("{")]
            if lines:
                self.link_statistics = json.loads(lines[-1])
        for n in self.namespaces:
            n.close()

    def _stop_target(self):
        """It ends when its input does, and says whether bytes were wrong."""
        self.target.popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.target.popen.wait(2)
        if self.target.popen.returncode not in (0, None):
            self.wrong = "the target: " + self.target.tail()
        self.target.stop()

    # -- what contenders are made of --

    def start(self, part, name, argv):
        """
        Start a program of the contender. part "client" runs on the client's
        side, "server" and "nginx" on the other.
        """
        side = self.client_side if part == "client" else self.server_side
        p = Process(name, argv, side, self.directory)
        self.parts.setdefault(part, []).append(p)
        return p

    def file(self, name, text, mode=0o644):
        path = self.directory / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def check(self):
        """Nothing that was started has ended."""
        for p in [self.target, self.link,
                  *(p for ps in self.parts.values() for p in ps)]:
            if p:
                p.check_running()

    # -- measuring --

    def load(self, scenario, address, **options):
        """Start the load generator on the client's side."""
        argv = [self.bench.load, "run", scenario, "--connect", address]
        for key, value in options.items():
            if value is not None:
                argv += ["--" + key.replace("_", "-"), value]
        self.count += 1
        load = LoadRun("%s-%d" % (scenario, self.count), argv,
                       self.client_side, self.directory)
        self.loads.append(load)
        return load

    def cpu(self):
        """CPU seconds of the contender so far, by part, and the target's."""
        used = {part: cpu_seconds(ps) for part, ps in self.parts.items()}
        used["target"] = cpu_seconds([self.target])
        if self.link:
            used["link"] = cpu_seconds([self.link])
        return used

    def received(self):
        """Bytes that the target's kernel has, by the connection's port."""
        said = self.server_side.run("ss", "-tinHO", "sport", "=",
                                    ":%d" % TARGET_PORT)
        # Of each line the second address is the connection's other end.
        found = re.findall(r"^\S+\s+\d+\s+\d+\s+\S+\s+\S+:(\d+)\s"
                           r".*\bbytes_received:(\d+)", said, re.M)
        return {int(port): int(count) for port, count in found}

    def memory(self):
        return {part: pss_kib(ps) for part, ps in self.parts.items()}

    def sysctls(self):
        return {key: self.client_side.sysctl(key) for key in SYSCTLS}


def custom(options):
    """The place that the command line describes, or None."""
    given = (options.delay_ms, options.jitter_ms, options.loss,
             options.rate_mbit)
    if all(v is None for v in given):
        return None
    place = Place("custom", "custom", delay_ms=options.delay_ms or 0.0,
                  jitter_ms=options.jitter_ms or 0.0,
                  loss=options.loss or 0.0,
                  rate_mbit=options.rate_mbit or 0.0,
                  queue_ms=options.queue_ms or 0.0)
    return dataclasses.replace(place, title=" ".join(place.link_options()))


def choose(names, extra):
    places = dict(PLACES)
    if extra:
        places[extra.name] = extra
    for name in names:
        if name not in places:
            raise Failure("no place %r; there are: %s" % (
                name, ", ".join(places)))
    return [places[name] for name in names]
