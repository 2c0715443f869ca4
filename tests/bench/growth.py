"""
How one gateway grows: transactions/s, CPU and latency at 1, 10, 100 and 1,000
sessions, each a laptop's of its own with one Notes connection (fleet).

    growth.py [--sessions 1,10,100,1000] [--seconds 8] [--runs 3]
              [--paced 1000] [--http 2] [--out growth]

Two loads: `paced` makes the same number of transactions each second, however
many sessions share them, so that what a session costs by being there shows
alone; `closed` begins the next transaction of each when one is done, so that
the capacity of the machine shows. Median of the runs by the 50th percentile.
Writes OUT.json, OUT.md and OUT.svg.
"""

import argparse
import json
import os
import pathlib
import signal
import sys

import plot
import rig

PROGRAMS = ("gateway", "nginx", "clients", "server")
CORES = os.cpu_count()


def run(sessions, load, options):
    """One run: what the fleet says, with the CPU time of each program."""
    r = rig.Rig("growth", gateway="max_device_sessions = 1000",
                http=options.http)
    try:
        pace = ["--per-second", options.paced] if load == "paced" else []
        fleet = r.fleet(sessions, "--seconds", options.seconds, "--warmup", 2,
                        *pace)
        pids = dict(r.pids(), clients=[fleet.pid], server=[r.server.pid])
        fleet.wait_line("^begin", timeout=180)
        before = {name: rig.cpu_s(p) for name, p in pids.items()}
        machine = rig.machine_s()
        fleet.wait_line("^end", timeout=options.seconds + 30)
        after = {name: rig.cpu_s(p) for name, p in pids.items()}
        machine = rig.machine_s() - machine
        memory = {name: rig.pss_kib(p) for name, p in r.pids().items()}
        fleet.wait_line('"errors"')
        fleet.wait_exit(60)
        line = json.loads(fleet.find('"errors"')[-1].string)
        line["load"] = load
        line["cpu_s"] = {n: round(after[n] - before[n], 3) for n in PROGRAMS}
        line["cpu_us"] = {n: round(1e6 * (after[n] - before[n])
                                   / max(line["count"], 1), 1)
                          for n in PROGRAMS}
        line["cores"] = round(sum(line["cpu_s"].values()) / line["seconds"],
                              2)
        line["others"] = round(max(0, machine / line["seconds"]
                                   - line["cores"]), 2)
        line["memory_kib"] = memory
        line["limits"] = sorted({m.group(0) for p in (r.gw, r.web) for m in
                                 p.find(r"limit reached limit=\w+"
                                        r"|worker_connections are not "
                                        r"enough")})
        return line
    finally:
        r.end()


def median(lines):
    return sorted(lines, key=lambda x: x["p50_us"])[len(lines) // 2]


def measure(options):
    results = []
    for load in ("paced", "closed"):
        for n in options.sessions:
            lines = []
            for _ in range(options.runs):
                lines.append(run(n, load, options))
                print(json.dumps(lines[-1]), file=sys.stderr, flush=True)
            results.append(median(lines))
    return results


# ---- what it says -----------------------------------------------------------

def of(results, load):
    return [x for x in results if x["load"] == load]


def bend(results):
    """Where the closed loop stops growing, and what is used up there."""
    closed = of(results, "closed")
    best = max(closed, key=lambda x: x["per_s"])
    knee = next(x for x in closed if x["per_s"] >= 0.9 * best["per_s"])
    last = closed[-1]
    used = sum(knee["cpu_us"].values())
    text = ("It bends at %d sessions, with %.0f transactions/s: %.1f of the "
            "machine's %d cores are then busy, %.0f %% of that in the "
            "gateway, %.0f %% in nginx, the rest in the clients and the "
            "server, which share the machine here." % (
                knee["sessions"], knee["per_s"], knee["cores"], CORES,
                100 * knee["cpu_us"]["gateway"] / used,
                100 * knee["cpu_us"]["nginx"] / used))
    text += (" By its CPU time one gateway on a core of its own carries some "
             "%d transactions/s at %d sessions and %d at %d." % (
                 round(1e6 / knee["cpu_us"]["gateway"], -2),
                 knee["sessions"],
                 round(1e6 / last["cpu_us"]["gateway"], -2),
                 last["sessions"]))
    if last is not knee:
        text += (" From there on to %d sessions throughput changes by %+.0f "
                 "%%, the gateway's CPU time for each transaction by %+.0f "
                 "%%, nginx's by %+.0f %%." % (
                     last["sessions"],
                     100 * (last["per_s"] / knee["per_s"] - 1),
                     *(100 * (last["cpu_us"][n] / knee["cpu_us"][n] - 1)
                       for n in ("gateway", "nginx"))))
    return text


def markdown(results, options):
    lines = ["One gateway behind nginx with TLS (HTTP/%s), %d cores for all "
             "programs, clients and server included; 200 B up, 1 KB down." %
             (options.http, CORES), "",
             "| load | sessions | transactions/s | p50 ms | p99 ms | "
             "gateway µs | nginx µs | clients µs | cores busy | others | "
             "gateway MiB | nginx MiB | errors |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for x in results:
        cpu, memory = x["cpu_us"], x["memory_kib"]
        lines.append("| %s | %d | %.0f | %.2f | %.2f | %.0f | %.0f | %.0f | "
                     "%.2f | %.2f | %.1f | %.1f | %d |" % (
                         x["load"], x["sessions"], x["per_s"],
                         x["p50_us"] / 1000, x["p99_us"] / 1000,
                         cpu["gateway"], cpu["nginx"], cpu["clients"],
                         x["cores"], x["others"], memory["gateway"] / 1024,
                         memory["nginx"] / 1024, x["errors"]))
    lines += ["", "µs: CPU time for each transaction. others: cores that "
              "something else had, the kernel's own work for these "
              "programs included.", "", bend(results)]
    limits = sorted({y for x in results for y in x["limits"]})
    lines += ["", "Limits that were reached: %s." % (", ".join(limits)
                                                     or "none")]
    return "\n".join(lines) + "\n"


def picture(results, options):
    xs = options.sessions
    paced, closed = of(results, "paced"), of(results, "closed")
    latency = {}
    for name, load in (("paced", paced), ("closed", closed)):
        for part in ("p50", "p99"):
            latency["%s %s" % (name, part)] = [x[part + "_us"] / 1000
                                               for x in load]
    cpu = {"%s, %s" % (program, name): [x["cpu_us"][program] for x in load]
           for name, load in (("paced", paced), ("closed", closed))
           for program in ("gateway", "nginx")}
    return plot.svg([
        ("Transactions, closed loop", "1/s", "sessions", xs,
         {"all sessions": [x["per_s"] for x in closed]}, False),
        ("Latency", "ms", "sessions", xs, latency, True),
        ("CPU time per transaction", "µs", "sessions", xs, cpu, False),
    ])


def numbers(text):
    return [int(x) for x in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sessions", type=numbers,
                        default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--paced", type=int, default=1000)
    parser.add_argument("--http", choices=("2", "1.1"), default="2")
    parser.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path("growth"))
    options = parser.parse_args()
    results = measure(options)
    options.out.with_suffix(".json").write_text(
        json.dumps(results, indent=1) + "\n")
    text = markdown(results, options)
    options.out.with_suffix(".md").write_text(text)
    options.out.with_suffix(".svg").write_text(picture(results, options))
    print(text)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
    try:
        main()
    except rig.harness.Failure as e:
        raise SystemExit(str(e))
