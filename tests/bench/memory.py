"""
What idle streams, idle sessions and churn cost in memory.

    memory.py streams [N ...]        N idle streams through one nrpc-tunnel,
                                     opened all at once, and ten at a time
    memory.py sessions [N ...]       N idle sessions of one gateway, that come
                                     all at once, and ten each half a minute
    memory.py crowd [N]              N idle sessions that come all at once, and
                                     after them N more, ten each half a minute
    memory.py churn SECONDS          connect, one transaction, close; for ever

Each prints one line of JSON per measurement: KiB of anonymous memory, in
proportional share (smaps_rollup, Pss_Anon), of the client, the gateway and
nginx with its workers; pss is everything. Streams and sessions add anonymous
memory only, and the share in libraries changes with what else runs on the
machine. A further stream or session costs the difference between two lines by
the difference in number.

In `sessions` and `crowd` the clients of each batch are one process (fleet),
whose memory is told and is no part of the price: on a laptop there is one
client with one session.
"""

import json
import signal
import sys
import time

import rig

SETTLE_S = 4
# Sessions: until the first request that each of them holds has been renewed, as
# the gateway's libmicrohttpd may touch all of a connection's memory then.
HELD_S = 50
EVERY_S = 30       # a batch of sessions comes
BATCH = 20         # connections of the churn at once


def sample(r, *clients, **more):
    pids = dict(r.pids(), client=[c.pid for c in clients])
    line = {name: rig.pss_kib(p, "Pss_Anon") for name, p in pids.items()}
    line["all"] = sum(line.values())
    print(json.dumps(dict(more, **line, pss=rig.pss_kib(
        [pid for p in pids.values() for pid in p]))), flush=True)
    return line


def per_one(name, lines):
    """The slope between the first measurement and each of the others."""
    first, base = lines[0]
    for n, line in lines[1:]:
        print(json.dumps(dict({"per": name, "from": first, "to": n}, **{
            part: round((line[part] - base[part]) / (n - first), 2)
            for part in line})), flush=True)


def batches(n, most):
    return [min(most, n - i) for i in range(0, n, most)]


def hold(r, address, count, down):
    """So many connections at once, each idle after one transaction."""
    g = r.guest_start("hold", address, connections=count, up=200, down=down)
    g.process.wait_line("held", timeout=60)
    return g


def streams(counts, batch, down=1024):
    lines = []
    for n in counts:
        r = rig.Rig("memory")
        try:
            client = r.client(r.conf)
            address = r.addresses(client)[0]
            # One before all others: what the first use of anything costs.
            r.guest("pingpong", address, connections=4)
            guests = [hold(r, address, count, down)
                      for count in batches(n, batch)]
            time.sleep(SETTLE_S)
            lines.append((n, sample(r, client, streams=n, batch=batch)))
            for g in guests:
                g.process.kill()
            if n > 0:
                time.sleep(SETTLE_S)
                sample(r, client, streams=0, after=n)
        finally:
            r.end()
    per_one("stream", lines)


def one_gateway(*steps):
    """
    To one gateway come so many more sessions in each step, a batch each half a
    minute; a measurement after each step, when all are idle.
    """
    r = rig.Rig("memory", gateway="max_device_sessions = 1000")
    fleets, lines, n = [], [], 0
    try:
        for count, batch in steps:
            for i, size in enumerate(batches(count, batch)):
                if i > 0:
                    time.sleep(EVERY_S)
                fleets.append(r.fleet(size, "--idle"))
                fleets[-1].wait_line(r'"ready": %d\b' % size, timeout=120)
            time.sleep(HELD_S)
            n += count
            lines.append((n, sample(r, *fleets, sessions=n, batch=batch)))
    finally:
        r.end()
    return lines


def sessions(counts, batch):
    per_one("session",
            [line for n in counts for line in one_gateway((n, batch))])


def crowd(count):
    """What a crowd leaves behind, is it used by those who come later?"""
    lines = one_gateway((10, 10), (count, count), (count, 10))
    per_one("session", lines)
    per_one("further session", lines[1:])


def churn(seconds):
    r = rig.Rig("churn")
    try:
        client = r.client(r.conf)
        address = r.addresses(client)[0]
        begun = time.monotonic()
        next_sample, made = 0, 0
        idle = r.guest_start("hold", address, connections=20,
                             timeout=seconds + 60)
        while time.monotonic() - begun < seconds:
            r.guest("pingpong", address, connections=BATCH)
            made += BATCH
            time.sleep(0.1)
            for p in r.processes:
                forget_lines(p)
            r.processes[:] = [p for p in r.processes if p.running()]
            now = time.monotonic() - begun
            if now >= next_sample:
                sample(r, client, s=round(now), connections=made)
                next_sample += max(10, seconds / 60)
        idle.process.signal(signal.SIGUSR1)
        idle.result()
    finally:
        r.end()


def forget_lines(p):
    with p.changed:
        del p.lines[:-50]


def main(argv):
    if len(argv) < 2 or argv[1] not in ("streams", "sessions", "crowd",
                                         "churn"):
        raise SystemExit(__doc__.strip())
    numbers = [int(x) for x in argv[2:]]
    if argv[1] == "churn":
        churn(numbers[0] if numbers else 3600)
    elif argv[1] == "streams":
        for batch in (10, 10000):
            streams(numbers or [0, 200, 500], batch)
    elif argv[1] == "crowd":
        crowd(numbers[0] if numbers else 100)
    else:
        sessions(numbers or [1, 50, 200], 10000)
        sessions(numbers or [10, 100], 10)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *a: sys.exit(1))
    try:
        main(sys.argv)
    except rig.harness.Failure as e:
        raise SystemExit(str(e))
