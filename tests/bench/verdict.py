"""
What has to be shown, as ratios within one run, and whether it was.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Wanted:
    """
    value of `line`, divided by what `to` says, is `relation` the limit.
    to: "websocket" (the best peer that is one), "nothing", the name of
    another contender, or the key of another line of the same one.
    """

    place: str
    text: str
    line: str
    to: str
    relation: str               # "<=", ">=", "<"
    limit: float
    contender: str = None       # only this one

    def holds(self, got):
        return {"<=": got <= self.limit, ">=": got >= self.limit,
                "<": got < self.limit}[self.relation]


WANTED = [
    Wanted("wan", "p50", "p50", "raw", "<=", 1.01),
    Wanted("wan", "64 KB answer", "64k_p50", "raw", "<=", 1.02),
    Wanted("wan", "connect → first byte", "connect_p50", "raw", "<=", 0.53),
    Wanted("wan", "20 connections, p50", "conns20_p50", "raw", "<=", 1.03),
    Wanted("wan", "200 connections, p50", "conns200_p50", "raw", "<=", 1.03),
    Wanted("wan", "bulk down", "down", "raw", ">=", 1.0),
    Wanted("wan", "bulk up", "up", "raw", ">=", 1.0),
    Wanted("wan100", "bulk down", "down", "raw", ">=", 0.95),
    Wanted("wan100", "bulk up", "up", "raw", ">=", 0.95),
    Wanted("loss", "bulk down", "down", "raw", ">=", 3.0),
    Wanted("loss", "bulk up", "up", "raw", ">=", 3.0),
    Wanted("loss", "p99", "p99", "raw", "<=", 0.6),
    Wanted("loss", "p50 beside bulk down to idle p50", "beside_down_p50",
           "p50", "<=", 1.1),
    Wanted("loss", "p50 beside bulk up to idle p50", "beside_up_p50", "p50",
           "<=", 1.1),
    Wanted("wan100", "p50 beside bulk down to idle p50", "beside_down_p50",
           "p50", "<=", 1.3),
    Wanted("wan100", "p50 beside bulk up to idle p50", "beside_up_p50",
           "p50", "<=", 1.3),
    Wanted("wan100", "rate of that bulk down", "beside_down_mb", "raw", ">=",
           0.95),
    Wanted("wan100", "rate of that bulk up", "beside_up_mb", "raw", ">=",
           0.95),
    Wanted("loopback", "p50 to the best WebSocket peer", "p50", "websocket",
           "<", 1.0),
    Wanted("loopback", "bulk down to the best WebSocket peer", "down",
           "websocket", ">=", 1.25),
    Wanted("loopback", "bulk up to the best WebSocket peer", "up",
           "websocket", ">=", 1.25),
    Wanted("loopback", "CPU per GB down to the best WebSocket peer",
           "cpu_down", "websocket", "<=", 0.7),
    Wanted("loopback", "CPU per GB up to the best WebSocket peer", "cpu_up",
           "websocket", "<=", 0.7),
    Wanted("loopback", "CPU per paced transaction to the best WebSocket peer",
           "cpu_paced", "websocket", "<=", 0.6),
    Wanted("loopback", "nginx's defaults: p50 to the tuned one", "p50",
           "tunnel", "<=", 2.0, contender="tunnel-defaults"),
    # A step of 40 ms is a delayed acknowledgement that somebody waits for.
    Wanted("loopback", "nginx's defaults: 200 B request, p99 in us", "p99",
           "nothing", "<", 40000, contender="tunnel-defaults"),
    Wanted("loopback", "nginx's defaults: 16 KB request, p99 in us",
           "up16k_p99", "nothing", "<", 40000, contender="tunnel-defaults"),
    Wanted("loopback", "nginx's defaults: 64 KB answer, p50 in us",
           "64k_p50", "nothing", "<", 40000, contender="tunnel-defaults"),
    Wanted("loopback", "memory per further idle stream, KiB", "idle_kb",
           "nothing", "<=", 8.0),
]


@dataclasses.dataclass(frozen=True)
class Verdict:
    wanted: Wanted
    contender: str
    got: float                  # None: not measured
    compared_to: str

    @property
    def word(self):
        if self.got is None:
            return "not measured"
        return "ok" if self.wanted.holds(self.got) else "short"


def _base(results, contenders, wanted, contender):
    """(what it is divided by, its value); the value is None if unknown."""
    if wanted.to == "nothing":
        return "", 1.0
    if wanted.to == "websocket":
        best = results.best(wanted.place,
                            [c for c in contenders if c.websocket],
                            wanted.line)
        return best or ("WebSocket peer", None)
    other = wanted.to
    if wanted.contender and contender.startswith("old:"):
        other = "old:" + other
    if other in {c.name for c in contenders}:
        return other, results.median(wanted.place, other, wanted.line)
    return wanted.to, results.median(wanted.place, contender, wanted.to)


def _judge_one(results, contenders, wanted, contender):
    to, base = _base(results, contenders, wanted, contender)
    value = results.median(wanted.place, contender, wanted.line)
    got = value / base if value is not None and base else None
    return Verdict(wanted, contender, got, to)


def judge(results, contenders, keys):
    """
    A verdict of each tunnel on all that was wanted where it was run, of the
    lines with these keys.
    """
    verdicts = []
    for wanted in WANTED:
        if wanted.place not in results.places or wanted.line not in keys:
            continue
        for c in contenders:
            name = c.name.removeprefix("old:")
            if not c.ours or (name == "tunnel-defaults"
                              and not wanted.contender):
                continue
            if wanted.contender in (None, name):
                verdicts.append(_judge_one(results, contenders, wanted,
                                           c.name))
    return verdicts
