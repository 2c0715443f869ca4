#!/usr/bin/env python3
"""
How quick is the tunnel? Its contenders, raw TCP and other tunnels, carry the
same load over the same emulated links in the same run, in turn. See --help.

Standard library only; needs root, since it makes network namespaces.
"""

import argparse
import os
import pathlib
import resource
import shutil
import signal
import sys
import tempfile
import time

import lines
import ours
import peers
import places
import proc
import record
import report
import verdict
import web

DEFAULT = "raw,tunnel,tunnel-h1,tunnel-defaults,stunnel,ssh,v2ray,httptunnel"


def parse():
    p = argparse.ArgumentParser(
        description="Measure the tunnel beside raw TCP and other tunnels.",
        epilog="Ends with 0 however slow things are, with 1 if bytes were "
        "wrong or a program of the tunnel ended.")
    p.add_argument("--builddir", type=pathlib.Path, metavar="DIR",
                   default=os.environ.get("top_builddir") or ".",
                   help="where client/, server/ and tests/bench/ were built "
                   "(default: $top_builddir or .)")
    p.add_argument("--compare", type=pathlib.Path, metavar="DIR",
                   help="a second build: each tunnel contender runs a second "
                   "time as old:NAME with the programs from there")
    p.add_argument("--places", metavar="A,B", help="default: %s" % ",".join(
        places.PLACES))
    p.add_argument("--contenders", metavar="A,B", help="default: " + DEFAULT)
    p.add_argument("--measures", metavar="A,B", help="default: all, which "
                   "are " + ",".join(m.name for m in lines.MEASURES))
    p.add_argument("--runs", type=int, metavar="N",
                   help="default: 5, with --quick 1")
    p.add_argument("--seconds", type=float, metavar="S",
                   help="of every timed measurement (default: 1 to 10)")
    p.add_argument("--quick", action="store_true",
                   help="one run with short measurements")
    p.add_argument("--congestion", metavar="NAME", default="cubic",
                   help="TCP congestion control everywhere; the default is "
                   "cubic, which is what most hosts have, whatever this "
                   "machine is set to")
    p.add_argument("--delay-ms", type=float, metavar="MS",
                   help="with these a place of your own, 'custom': delay "
                   "each way,")
    p.add_argument("--jitter-ms", type=float, metavar="MS",
                   help="up to so much more each way, another value every "
                   "10 ms,")
    p.add_argument("--loss", type=float, metavar="PERCENT",
                   help="loss each way,")
    p.add_argument("--rate-mbit", type=float, metavar="MBIT",
                   help="rate each way,")
    p.add_argument("--queue-ms", type=float, metavar="MS",
                   help="bound of the queue before that rate")
    p.add_argument("--seed", type=int, default=1, help="of the loss")
    p.add_argument("--json", type=pathlib.Path, metavar="FILE",
                   help="write all samples and the environment there")
    p.add_argument("--markdown", type=pathlib.Path, metavar="FILE",
                   help="write the tables there instead of to stdout")
    p.add_argument("--keep", action="store_true",
                   help="keep the directory with configurations and logs")
    return p.parse_args()


class Bench:
    """What all turns share: programs, keys, certificates, options."""

    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.congestion = options.congestion
        builddir = pathlib.Path(options.builddir).resolve()
        self.load = self._tool(builddir, "load")
        self.link = self._tool(builddir, "link")
        self.build = ours.Build(builddir, directory / "keys")
        self.old = None
        if options.compare:
            self.old = ours.Build(options.compare, directory / "old-keys")
        self.ca = web.certificates(directory / "ca",
                                   ("127.0.0.1", places.SERVER_ADDRESS))

    def _tool(self, builddir, name):
        path = builddir / "tests" / "bench" / name
        if not path.exists():
            raise proc.Failure("%s is not built: run 'make bench' or name "
                               "the build with --builddir" % path)
        return path

    def contenders(self):
        """Those that the command line asks for."""
        known = {c.name: c for c in peers.contenders() + ours.contenders()}
        if self.old:
            known.update({"old:" + c.name: c.of(self.old)
                          for c in list(known.values()) if c.ours})
        names = self.options.contenders
        chosen = []
        for name in (names or DEFAULT).split(","):
            if name not in known:
                raise proc.Failure("no contender %r; there are: %s" % (
                    name, ", ".join(known)))
            chosen.append(known[name])
            if self.old and known[name].ours and not names:
                chosen.append(known["old:" + name])
        return chosen


def say(text):
    print(text, file=sys.stderr, flush=True)


def choose_measures(options):
    names = options.measures
    known = {m.name: m for m in lines.MEASURES}
    for name in (names.split(",") if names else ()):
        if name not in known:
            raise proc.Failure("no measure %r; there are: %s" % (
                name, ", ".join(known)))
    return [m for m in lines.MEASURES
            if not names or m.name in names.split(",")]


def run_turn(bench, place, contender, measures, directory, seed):
    """One contender, once: the record of it."""
    turn = record.TurnRecord(place.name, contender.name)
    try:
        with places.World(place, bench, directory, seed) as world:
            record.fill(turn, world, contender, measures, bench.options)
    except proc.Failure as e:
        turn.missing = str(e)
    else:
        turn.link = world.link_statistics
        turn.facts = world.facts
        if world.wrong:
            turn.errors["target"] = world.wrong
    if not bench.options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    return turn


def link_error(bench, place, directory):
    """What the link itself does to a small exchange, and what it should."""
    wanted = 2 * place.delay_ms * 1000
    with places.World(place, bench, directory, 1) as world:
        load = world.load("transactions", world.target_address,
                          connections=1, up=200, down=200, seconds=2,
                          warmup=0.3)
        r = load.result()
        sysctls = world.sysctls()
    say("%s: round trip of 200 B over raw TCP: p50 %d us, p99 %d us, "
        "wanted %d us" % (place.title, r["p50_us"], r["p99_us"], wanted))
    return {"wanted_us": wanted, "p50_us": r["p50_us"],
            "p99_us": r["p99_us"], "link": world.link_statistics,
            "sysctls": sysctls}


def measure(bench, chosen_places, contenders, measures, results):
    """All runs of all places; the turns go into results."""
    options = bench.options
    runs = options.runs or (1 if options.quick else 5)
    for place in chosen_places:
        results.places[place.name] = link_error(
            bench, place, bench.directory / ("%s-link" % place.name))
        here = [c for c in contenders
                if c.places is None or place.name in c.places
                or options.contenders]
        mine = [m for m in measures
                if m.places is None or place.name in m.places
                or place.name == "custom" and m.places != lines.LOCAL]
        for number in range(runs):
            # Nobody is always first, or always behind the same one.
            turned = here[number % len(here):] + here[:number % len(here)]
            for contender in turned:
                name = "%s-%d-%s" % (place.name, number,
                                     contender.name.replace(":", "-"))
                started = time.monotonic()
                turn = run_turn(bench, place, contender, mine,
                                bench.directory / name,
                                options.seed + number)
                results.turns.append(turn)
                say("%s run %d of %d: %s (%.1f s)" % (
                    place.name, number + 1, runs, turn.summary(),
                    time.monotonic() - started))


def main():
    options = parse()
    proc.enter()
    signal.signal(signal.SIGTERM, proc.interrupt)
    signal.signal(signal.SIGINT, proc.interrupt)
    # Hundreds of connections, each with several descriptors.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # /run is in memory here, and is gone when we are.
    directory = pathlib.Path(tempfile.mkdtemp(
        prefix="nrpc-bench-", dir=None if options.keep else "/run"))
    directory.chmod(0o755)
    restore = None
    try:
        restore = proc.allow_congestion(options.congestion)
        bench = Bench(options, directory)
        custom = places.custom(options)
        names = options.places or (custom.name if custom
                                   else ",".join(places.PLACES))
        chosen = places.choose(names.split(","), custom)
        contenders = bench.contenders()
        results = record.Results(contenders)
        measures = choose_measures(options)
        measure(bench, chosen, contenders, measures, results)
        results.environment = record.environment(bench, contenders)
        verdicts = verdict.judge(results, contenders,
                                 {k for m in measures for k in m.keys})
        text = report.markdown(results, contenders, chosen, verdicts)
        if options.markdown:
            options.markdown.write_text(text)
        else:
            print(text, end="", flush=True)
        if options.json:
            report.write_json(options.json, results, verdicts)
        return 1 if results.failures(contenders) else 0
    except proc.Failure as e:
        say("bench: %s" % e)
        return 1
    finally:
        if restore:
            restore()
        if options.keep:
            say("kept: %s" % directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
