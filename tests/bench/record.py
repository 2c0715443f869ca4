"""
What was seen: a record of each turn, all of them together with their medians,
and the environment in which they were taken.
"""

import os
import platform
import statistics
import sys
import time
import traceback

import lines
import proc
import web


class TurnRecord:
    """One contender in one place, once."""

    def __init__(self, place, contender):
        self.place = place
        self.contender = contender
        self.missing = None         # why it could not be started
        self.errors = {}            # measure: why it has no values
        self.skipped = {}           # measure: why it makes no sense here
        self.notes = {}             # line: what is to be known of its value
        self.values = {}            # line: value
        self.parts = {}             # line: {part: value}
        self.raw = {}               # measure: what load said
        self.link = None            # what the link said at its end
        self.facts = {}             # what the contender tells of itself
        self.ready_s = None         # until connections were accepted
        self.other_cpu = None       # see below

    def summary(self):
        if self.missing:
            return "%s: missing: %s" % (self.contender, self.missing)
        text = "%s: %d values" % (self.contender, len(self.values))
        for name, why in (*self.errors.items(), *self.notes.items()):
            text += "\n    %s: %s" % (name, why)
        return text


def fill(turn, world, contender, measures, options):
    """Start the contender in the world and take all measures."""
    started = time.monotonic()
    machine = proc.machine_seconds()
    own = _own_seconds()
    address = contender.start(world)
    turn.ready_s = time.monotonic() - started
    work = lines.Turn(world, address, turn, options)
    for m in measures:
        if m.connections > 1 and contender.one_connection:
            turn.skipped[m.name] = "one connection at a time"
        elif m.tunnels_only and not world.parts:
            turn.skipped[m.name] = "no program of its own"
        else:
            _take(turn, work, m)
    # How much of the machine was busy with something else: with more than a
    # few percent the figures of this turn are doubtful.
    took = time.monotonic() - started
    busy = (proc.machine_seconds() - machine) - (_own_seconds() - own)
    turn.other_cpu = max(0.0, busy / took / os.cpu_count())


def _take(turn, work, measure):
    try:
        turn.raw[measure.name] = measure.run(work)
        try:
            work.world.check()
        except proc.Failure:
            for key in measure.keys:
                turn.values.pop(key, None)
            raise
    except proc.Failure as e:
        turn.errors[measure.name] = str(e)
    except Exception:
        # A mistake in one measure must not cost the results of all others.
        turn.errors[measure.name] = traceback.format_exc()


def _own_seconds():
    """CPU time of everything in this PID namespace, so far."""
    ended = os.times()
    alive = proc.cpu_seconds_of(proc.everything())
    return alive + ended.children_user + ended.children_system


class Results:
    """All turns."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.turns = []
        self.places = {}            # place: what its link itself does
        self.environment = {}

    def of(self, place, contender):
        return [t for t in self.turns
                if t.place == place and t.contender == contender]

    def samples(self, place, contender, line):
        return [t.values[line] for t in self.of(place, contender)
                if t.values.get(line) is not None]

    def median(self, place, contender, line):
        """The median of all runs, or None."""
        samples = self.samples(place, contender, line)
        if not samples:
            return None
        if isinstance(samples[0], bool):
            return all(samples)
        return statistics.median(samples)

    def part(self, place, contender, line, part):
        samples = [t.parts[line][part] for t in self.of(place, contender)
                   if part in t.parts.get(line, {})]
        return statistics.median(samples) if samples else None

    def best(self, place, contenders, line):
        """(name, value) of the best of these contenders, or None."""
        found = [(self.median(place, c.name, line), c.name)
                 for c in contenders]
        found = [f for f in found if f[0] is not None]
        if not found:
            return None
        value, name = (max if lines.LINE[line].more_is_better
                       else min)(found)
        return name, value

    def facts(self):
        """What contenders have told of themselves, each once."""
        return sorted({(t.contender, key, value) for t in self.turns
                       for key, value in t.facts.items()})

    def troubles(self):
        """(place, contender, measure or line or None, what of it)."""
        seen = {}
        for t in self.turns:
            if t.missing:
                seen.setdefault((t.place, t.contender, None), t.missing)
            for kind in (t.errors, t.skipped, t.notes):
                for measure, why in kind.items():
                    seen.setdefault((t.place, t.contender, measure), why)
        return [(*where, why) for where, why in seen.items()]

    def failures(self, contenders):
        """
        What must not be: the tunnel, or raw TCP, did not start or carried
        wrong bytes. What peers cannot do is in the report only.
        """
        peers = {c.name for c in contenders
                 if not c.ours and c.name != "raw"}
        return [(t.place, t.contender) for t in self.turns
                if t.contender not in peers and (t.missing or t.errors)]


def environment(bench, contenders):
    """What the figures depend on beside the programs under test."""
    versions = {"nginx": proc.run([web.find("nginx"), "-v"]).strip(),
                "nrpc-tunnel": proc.run([bench.build.client,
                                         "--version"]).strip()}
    for c in contenders:
        try:
            said = c.version()
        except proc.Failure as e:
            said = "missing: %s" % e
        if said:
            versions[c.name] = said
    return {
        "command": " ".join(sys.argv),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "kernel": "%s %s" % (platform.system(), platform.release()),
        "machine": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "congestion": bench.congestion,
        "builddir": str(bench.build.directory),
        "compared": str(bench.old.directory) if bench.old else None,
        "versions": versions,
    }


def _processor():
    for text in (proc.PROC / "cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.split(":", 1)[1].strip()
    return platform.machine()
