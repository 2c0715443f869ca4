"""
What is measured: each measure runs the load generator once or a few times in
a world and gives the values of some lines of the report.
"""

import dataclasses
import time

from proc import Failure

WARMUP_LOCAL_S = 0.2
WARMUP_FAR_S = 0.5
# A bulk stream has filled the queues before small exchanges are timed.
WARMUP_BESIDE_FAR_S = 1.5
# Many connections are made, of which some cost a TLS handshake.
WARMUP_MANY_S = 1.0
QUICK = 0.3                 # of all times but that
LOSSY_BYTES_PER_S = 500000
USERS = 200
USER_PACE_MS = 200          # 1,000 transactions/s: a moderate load
IDLE_FIRST = 20
IDLE_FURTHER = 200
LOCAL = ("loopback",)


@dataclasses.dataclass(frozen=True)
class Line:
    key: str
    title: str
    unit: str                   # "us", "MB/s", "s/GB", "KB", "yes"
    places: tuple = None        # None: all

    @property
    def more_is_better(self):
        return self.unit in ("MB/s", "yes")


LINES = [
    Line("p50", "p50", "us"),
    Line("p99", "p99", "us"),
    Line("64k_p50", "64 KB answer, p50", "us"),
    Line("up16k_p50", "16 KB request, p50", "us", LOCAL),
    Line("up16k_p99", "16 KB request, p99", "us", LOCAL),
    Line("conns20_p50", "20 connections, p50", "us"),
    Line("conns200_p50", "200 connections, p50", "us"),
    Line("connect_p50", "connect → first byte", "us"),
    Line("down", "bulk down", "MB/s"),
    Line("up", "bulk up", "MB/s"),
    Line("beside_down_p50", "p50 beside bulk down", "us"),
    Line("beside_down_p99", "p99 beside bulk down", "us"),
    Line("beside_down_mb", "… that bulk", "MB/s"),
    Line("beside_up_p50", "p50 beside bulk up", "us"),
    Line("beside_up_p99", "p99 beside bulk up", "us"),
    Line("beside_up_mb", "… that bulk", "MB/s"),
    Line("cpu_down", "CPU of bulk down", "s/GB", LOCAL),
    Line("cpu_up", "CPU of bulk up", "s/GB", LOCAL),
    Line("cpu_paced", "CPU per transaction, %d paced users" % USERS, "us",
         LOCAL),
    Line("idle_kb", "memory per further idle connection", "KB", LOCAL),
    Line("half_close", "half-close carried", "yes", LOCAL),
]
LINE = {line.key: line for line in LINES}


class Turn:
    """One contender in one world: what measures work with."""

    def __init__(self, world, address, record, options):
        self.world = world
        self.address = address
        self.record = record
        self.options = options

    @property
    def local(self):
        return self.world.place.local

    def seconds(self, usual):
        """How long to measure; quick runs and --seconds change it."""
        if self.options.seconds:
            return self.options.seconds
        return usual * QUICK if self.options.quick else usual

    def warmup(self, far=WARMUP_FAR_S):
        usual = WARMUP_LOCAL_S if self.local else far
        return max(0.2, usual * QUICK) if self.options.quick else usual

    def load(self, scenario, **options):
        """Run load to its end; its result, with its own CPU seconds."""
        load = self.world.load(scenario, self.address, **options)
        result = load.result()
        result["load_cpu_s"] = load.cpu_s
        return result

    def set(self, key, value, parts=None):
        self.record.values[key] = value
        if parts:
            self.record.parts[key] = parts

    def times(self, prefix, result, seconds, keys=("p50", "p99")):
        """Times of transactions, of which there may be none."""
        for key in keys:
            value = result.get(key + "_us")
            if value is None:
                value = seconds * 1e6
                self.record.notes[prefix + key] = (
                    "no transaction ended within %g s; that is the value "
                    "that is shown" % seconds)
            self.set(prefix + key, value)


def _per(before, after, count):
    """CPU of each part for each of `count`, and of the contender in all."""
    parts = {k: (after[k] - before[k]) / count for k in after}
    parts["all"] = sum(v for k, v in parts.items()
                       if k in ("client", "server", "nginx"))
    return parts


def _transactions(t, prefix, keys, seconds, **options):
    seconds = t.seconds(seconds)
    options.setdefault("connections", 1)
    options.setdefault("up", 200)
    options.setdefault("down", 1024)
    options.setdefault("warmup", t.warmup())
    r = t.load("transactions", seconds=seconds, **options)
    t.times(prefix, r, seconds, keys)
    return r


def serial(t):
    # With loss one transaction in fifty is hit, and p99 needs some of those.
    usual = 10 if t.world.place.loss else 0.8 if t.local else 2
    return _transactions(t, "", ("p50", "p99"), usual)


def answer64k(t):
    return _transactions(t, "64k_", ("p50",), 0.6 if t.local else 1.5,
                         down=65536)


def request16k(t):
    return _transactions(t, "up16k_", ("p50", "p99"), 0.6, up=16384)


def many(t):
    return {count: _transactions(t, "conns%d_" % count, ("p50",),
                                 0.6 if t.local else 1, connections=count,
                                 warmup=WARMUP_MANY_S * count / 200
                                 + t.warmup())
            for count in (20, 200)}


def connect(t):
    r = t.load("connect", count=200 if t.local else 10)
    t.set("connect_p50", r["p50_us"])
    return r


def _bulk(t, direction):
    """
    For a time, but where packets are lost a number of bytes: there it takes
    long until what is in the buffers of the contender has arrived, too.
    """
    if t.world.place.loss:
        amount = {"bytes": int(t.seconds(10) * LOSSY_BYTES_PER_S)}
    else:
        amount = {"seconds": t.seconds(1.2 if t.local else 8)}
    before = t.world.cpu()
    r = t.load("bulk", direction=direction, timeout=120, **amount)
    after = t.world.cpu()
    t.set(direction, r["mb_per_s"])
    if t.local and t.world.parts:
        parts = _per(before, after, r["bytes"] / 1e9)
        parts["load"] = r["load_cpu_s"] / (r["bytes"] / 1e9)
        t.set("cpu_" + direction, parts["all"], parts)
    return r


def bulk(t):
    return {d: _bulk(t, d) for d in ("down", "up")}


def _beside(t, direction):
    """
    Small exchanges while bulk passes. What of it comes down, the load
    generator counts; what goes up, the kernel on the target's side, since
    much of what was sent is in buffers. The kernel counts what is in order:
    while it waits for a lost packet, up to two round trips of what came are
    not in its figure, which over a short time looks like a higher rate.
    """
    seconds = t.seconds(1.2 if t.local else 6)
    warmup = t.warmup(WARMUP_BESIDE_FAR_S)
    load = t.world.load("transactions", t.address, connections=1, up=200,
                        down=1024, beside=direction, seconds=seconds,
                        warmup=warmup)
    time.sleep(warmup)
    start = time.monotonic()
    before = t.world.received()
    time.sleep(seconds * 0.8)
    after = t.world.received()
    took = time.monotonic() - start
    r = load.result()
    prefix = "beside_%s_" % direction
    t.times(prefix, r, seconds)
    rate = r["beside_mb_per_s"]
    if direction == "up":
        both = before.keys() & after.keys()
        rate = sum(after[p] - before[p] for p in both) / took / 1e6
        r["beside_received_mb_per_s"] = rate
        if not both:
            t.record.notes[prefix + "mb"] = "its connections were over " \
                "before they were looked at: is this machine busy?"
            return r
    t.set(prefix + "mb", rate)
    return r


def beside(t):
    return {d: _beside(t, d) for d in ("down", "up")}


def paced(t):
    """
    CPU over the middle of the run: without connecting and ending. For long
    enough: over 2.5 s it differed by a third with the same programs.
    """
    seconds = t.seconds(10)
    load = t.world.load("transactions", t.address, connections=USERS, up=200,
                        down=1024, pace_ms=USER_PACE_MS, seconds=seconds,
                        warmup=WARMUP_MANY_S)
    time.sleep(WARMUP_MANY_S + 0.1)
    start = time.monotonic()
    before = t.world.cpu()
    time.sleep(seconds * 0.9)
    after = t.world.cpu()
    took = time.monotonic() - start
    r = load.result()
    parts = _per(before, after, r["per_s"] * took / 1e6)
    parts["load"] = load.cpu_s / (
        r["per_s"] * (seconds + WARMUP_MANY_S) / 1e6)
    if t.world.parts:
        t.set("cpu_paced", parts["all"], parts)
    return r


def _settled_memory(t):
    """The memory of all programs, once it does not change any more."""
    end = time.monotonic() + 3
    last = t.world.memory()
    while True:
        time.sleep(0.3)
        now = t.world.memory()
        if (all(abs(now[k] - last[k]) <= last[k] / 500 for k in now)
                or time.monotonic() > end):
            return now
        last = now


def idle(t):
    """
    What IDLE_FURTHER connections add, beyond what the first few do; all have
    carried one transaction.
    """
    memory = [_settled_memory(t)]
    held = []
    for count in (IDLE_FIRST, IDLE_FURTHER):
        load = t.world.load("idle", t.address, connections=count)
        held.append(load)
        if load.line().get("ready") != count:
            raise Failure("not all idle connections were made")
        memory.append(_settled_memory(t))
    for load in held:
        load.close()
    parts = {k: (memory[2][k] - memory[1][k]) / IDLE_FURTHER
             for k in memory[2]}
    t.set("idle_kb", sum(parts.values()), parts)
    return {"kib": memory}


def half_close(t):
    r = t.load("half-close", timeout=5)
    t.set("half_close", bool(r["carried"]))
    return r


@dataclasses.dataclass(frozen=True)
class Measure:
    name: str
    run: object                 # with a Turn; the raw results
    keys: tuple                 # of the lines
    places: tuple = None        # None: all
    connections: int = 1        # at once
    tunnels_only: bool = False  # nothing to see without a program between


MEASURES = [
    # First, since what was freed before would be used again.
    Measure("idle", idle, ("idle_kb",), LOCAL, IDLE_FIRST + IDLE_FURTHER,
            True),
    Measure("serial", serial, ("p50", "p99")),
    Measure("answer64k", answer64k, ("64k_p50",), ("loopback", "wan")),
    Measure("request16k", request16k, ("up16k_p50", "up16k_p99"), LOCAL),
    Measure("many", many, ("conns20_p50", "conns200_p50"),
            ("loopback", "wan"), 200),
    Measure("connect", connect, ("connect_p50",), ("loopback", "wan")),
    Measure("bulk", bulk, ("down", "up", "cpu_down", "cpu_up")),
    Measure("beside", beside, tuple(
        "beside_%s_%s" % (d, v) for d in ("down", "up")
        for v in ("p50", "p99", "mb")), ("loopback", "wan100", "loss"), 2),
    Measure("paced", paced, ("cpu_paced",), LOCAL, USERS),
    Measure("half-close", half_close, ("half_close",), LOCAL),
]
