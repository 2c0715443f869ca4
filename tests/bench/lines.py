"""
What is measured: each measure runs the load generator once or a few times in
a world and gives the values of some lines of the report.
"""

import dataclasses
import time

from proc import Failure

# Of a measure's time; short for all but plain loss of time if much.
WARMUP_LOCAL_S = 0.3
WARMUP_FAR_S = 1.0
# A bulk stream has filled the queues before small exchanges are timed.
WARMUP_BESIDE_FAR_S = 2.0
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

    def __init__(self, world, address, contender, options):
        self.world = world
        self.address = address
        self.contender = contender
        self.options = options
        self.raw = {}               # measure: all that load has said
        self.values = {}            # line: value
        self.parts = {}             # line: {part: value}

    @property
    def local(self):
        return self.world.place.local

    def seconds(self, usual):
        """How long to measure; quick runs and --seconds change it."""
        if self.options.seconds:
            return self.options.seconds
        return min(usual, 2.0) if self.options.quick else usual

    def warmup(self, far=WARMUP_FAR_S):
        if self.local:
            return WARMUP_LOCAL_S
        return far

    def load(self, scenario, **options):
        """Run load to its end; its result, with its own CPU seconds."""
        load = self.world.load(scenario, self.address, **options)
        result = load.result()
        result["load_cpu_s"] = load.cpu_s
        return result

    def set(self, key, value, parts=None):
        self.values[key] = value
        if parts:
            self.parts[key] = parts


def _per(before, after, count):
    """CPU of each part for each of `count`, and of the contender in all."""
    parts = {k: (after[k] - before[k]) / count for k in after}
    parts["all"] = sum(v for k, v in parts.items()
                       if k in ("client", "server", "nginx"))
    return parts


def serial(t):
    # With loss one transaction in fifty is hit, and p99 needs some of those.
    usual = 10 if t.world.place.loss else 1 if t.local else 2.5
    r = t.load("transactions", connections=1, up=200, down=1024,
               seconds=t.seconds(usual), warmup=t.warmup())
    t.set("p50", r["p50_us"])
    t.set("p99", r["p99_us"])
    return r


def answer64k(t):
    r = t.load("transactions", connections=1, up=200, down=65536,
               seconds=t.seconds(1 if t.local else 2), warmup=t.warmup())
    t.set("64k_p50", r["p50_us"])
    return r


def request16k(t):
    r = t.load("transactions", connections=1, up=16384, down=1024,
               seconds=t.seconds(1), warmup=t.warmup())
    t.set("up16k_p50", r["p50_us"])
    t.set("up16k_p99", r["p99_us"])
    return r


def many(t):
    all_of_them = {}
    for count in (20, 200):
        r = t.load("transactions", connections=count, up=200, down=1024,
                   seconds=t.seconds(1 if t.local else 1.5),
                   warmup=t.warmup())
        t.set("conns%d_p50" % count, r["p50_us"])
        all_of_them[count] = r
    return all_of_them


def connect(t):
    r = t.load("connect", count=200 if t.local else 10)
    t.set("connect_p50", r["p50_us"])
    return r


def _bulk(t, direction, usual):
    before = t.world.cpu()
    r = t.load("bulk", direction=direction, seconds=t.seconds(usual))
    after = t.world.cpu()
    t.set(direction, r["mb_per_s"])
    if t.local:
        parts = _per(before, after, r["bytes"] / 1e9)
        parts["load"] = r["load_cpu_s"] / (r["bytes"] / 1e9)
        t.set("cpu_" + direction, parts["all"], parts)
    return r


def bulk(t):
    usual = 1.5 if t.local else 4 if t.world.place.loss else 3
    return {d: _bulk(t, d, usual) for d in ("down", "up")}


def beside(t):
    all_of_them = {}
    for direction in ("down", "up"):
        r = t.load("transactions", connections=1, up=200, down=1024,
                   beside=direction,
                   seconds=t.seconds(1.5 if t.local else 3),
                   warmup=t.warmup(WARMUP_BESIDE_FAR_S))
        t.set("beside_%s_p50" % direction, r["p50_us"])
        t.set("beside_%s_p99" % direction, r["p99_us"])
        t.set("beside_%s_mb" % direction, r["beside_mb_per_s"])
        all_of_them[direction] = r
    return all_of_them


def paced(t):
    """CPU over the middle of the run: without connecting and ending."""
    seconds = t.seconds(3)
    load = t.world.load("transactions", t.address, connections=USERS, up=200,
                        down=1024, pace_ms=USER_PACE_MS, warmup=1,
                        seconds=seconds)
    time.sleep(1.2)
    start = time.monotonic()
    before = t.world.cpu()
    time.sleep(seconds - 0.4)
    after = t.world.cpu()
    took = time.monotonic() - start
    r = load.result()
    parts = _per(before, after, r["per_s"] * took / 1e6)
    parts["load"] = load.cpu_s / (r["per_s"] * (seconds + 1) / 1e6)
    t.set("cpu_paced", parts["all"], parts)
    return r


def idle(t):
    """
    What IDLE_FURTHER connections add, beyond what the first few do; all have
    carried one transaction.
    """
    memory = [t.world.memory()]
    held = []
    for count in (IDLE_FIRST, IDLE_FURTHER):
        load = t.world.load("idle", t.address, connections=count)
        held.append(load)
        if load.line().get("ready") != count:
            raise Failure("not all idle connections were made")
        time.sleep(0.5)
        memory.append(t.world.memory())
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
    run: object
    places: tuple = None        # None: all
    connections: int = 1        # at once
    tunnels_only: bool = False  # nothing to see without a program between


MEASURES = [
    # First, since what was freed before would be used again.
    Measure("idle", idle, LOCAL, 220, True),
    Measure("serial", serial),
    Measure("answer64k", answer64k, ("loopback", "wan")),
    Measure("request16k", request16k, LOCAL),
    Measure("many", many, ("loopback", "wan"), 200),
    Measure("connect", connect, ("loopback", "wan")),
    Measure("bulk", bulk),
    Measure("beside", beside, ("loopback", "wan100", "loss"), 2),
    Measure("paced", paced, LOCAL, USERS),
    Measure("half-close", half_close, LOCAL),
]
