"""
A laptop on the road, for the system tests: client and guests run on a host of
their own, behind a router that forwards, translates addresses and forgets old
connections without a word. Network namespaces, veth pairs and nftables; made
by root, or by anyone where unprivileged user namespaces are allowed.

    laptop --- net0 --- router --- the test's own namespace: nginx, gateway,
           --- net1 ---                Domino

Call enter() first: it starts the test again inside a namespace of its own, so
that nothing of the machine's network is touched and all of it ends with the
test.
"""

import json
import os
import subprocess
import sys
import time

from harness import Failure, Process, World, expect, tool, wait_until
from process import PATH

WEB = "10.99.0.1"
ROUTER = "10.99.0.254"
PUBLIC = "10.98.0"      # what the router translates to, one for each change
RATE = 40               # MB/s each way, so that a transfer takes its time
MARK = "NRPC_TEST_ROADS"


def _bail_out(text):
    print("Bail out! " + text, flush=True)
    sys.exit(1)


def enter():
    """Go on in a network namespace of our own."""
    if os.environ.get(MARK):
        return
    try:
        for name in "ip", "nft", "nsenter":
            tool(name)
        argv = [tool("unshare"), "--net"]
    except Failure as e:
        _bail_out(str(e))
    if os.geteuid() != 0:
        argv.insert(1, "--map-root-user")
    tried = subprocess.run([*argv, "true"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
    if tried.returncode != 0:
        _bail_out("no network namespace of our own: %s; run this as root, or "
                  "allow unprivileged user namespaces (sysctl "
                  "kernel.unprivileged_userns_clone=1)"
                  % tried.stdout.strip())
    os.environ[MARK] = "root" if os.geteuid() == 0 else "user"
    os.execv(argv[0], [*argv, sys.executable, "-B", *sys.argv])


class Host(Process):
    """A network namespace, kept by a process that waits."""

    def __init__(self, name, directory):
        super().__init__(name, [
            tool("unshare"), "--net", "sh", "-c",
            "ip link set lo up && echo here && exec sleep 86400"], directory,
            dict(os.environ, PATH=PATH))
        self.wait_line("^here$")

    def within(self):
        return [tool("nsenter"), "--net=/proc/%d/ns/net" % self.pid]

    def run(self, *argv, stdin=None):
        return run(*self.within(), tool(argv[0]), *argv[1:], stdin=stdin)

    def ip(self, *commands):
        """Several commands of ip, one string each."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")


def run(*argv, stdin=None):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, input=stdin)
    expect(done.returncode == 0, "%s: status %d\n%s%s" % (
        " ".join(map(str, argv)), done.returncode, stdin or "", done.stdout))
    return done.stdout


RULES = """
table ip road
delete table ip road
table ip road {
    counter up { }
    counter down { }
    chain forward {
        type filter hook forward priority 0; policy drop;
        iifname "web" limit rate over %(rate)d mbytes/second \
            burst 1 mbytes drop
        iifname != "web" limit rate over %(rate)d mbytes/second \
            burst 1 mbytes drop
        %(pass)s ct state new ct mark set %(number)d
        %(pass)s ct mark %(number)d iifname "web" counter name down accept
        %(pass)s ct mark %(number)d counter name up accept
    }
    chain translate {
        type nat hook postrouting priority 100;
        oifname "web" snat to %(public)s
    }
}
"""


class RoadWorld(World):
    """A World whose client and guests are on the laptop."""

    web_address = WEB
    web_host = WEB

    def __init__(self, tap, name, build=None):
        super().__init__(tap, name, build)
        self.number = 0         # of changes
        self.where = 0          # which network the laptop is in
        if os.environ[MARK] == "user":
            self.is_root = False
        self._build()

    def within(self, kind):
        if kind in ("client", "guest"):
            return self.laptop.within()
        if os.environ[MARK] == "user":
            # Root of this namespace could not become anyone else.
            return [tool("unshare"), "--user", "--map-user=1000"]
        return []

    def _build(self):
        self.laptop = self._keep(Host("laptop", self.directory))
        self.router = self._keep(Host("router", self.directory))
        here = ["link set lo up",
                "link add web0 type veth peer name web netns %d"
                % self.router.pid,
                "address add %s/24 dev web0" % WEB, "link set web0 up",
                "route add %s.0/24 via %s" % (PUBLIC, ROUTER)]
        run(tool("ip"), "-batch", "-", stdin="\n".join(here) + "\n")
        self.router.ip("address add %s/24 dev web" % ROUTER,
                       "link set web up")
        for n in 0, 1:
            self.router.ip(
                "link add net%d type veth peer name net%d netns %d"
                % (n, n, self.laptop.pid),
                "address add 10.1.%d.254/24 dev net%d" % (n, n),
                "link set net%d up" % n)
        self.router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        self.arrive(0)
        self.forget()

    # -- what happens on the road --

    def _address(self):
        return "10.1.%d.%d" % (self.where, 1 + self.number % 250)

    def arrive(self, where, address=None):
        """An interface comes up, with an address and the default route."""
        self.where = where
        self.address = address or self._address()
        self.laptop.ip("link set net%d up" % where,
                       "address add %s/24 dev net%d" % (self.address, where),
                       "route add default via 10.1.%d.254" % where)

    def leave(self):
        """The interface goes, and with it address and route."""
        self.laptop.ip("address flush dev net%d" % self.where,
                       "link set net%d down" % self.where)

    def forget(self, passing=True):
        """
        The router drops what belongs to connections of until now, silently,
        and lets new ones out with another address, if it lets any.
        """
        self.number += 1
        self.let(passing)

    def let(self, passing):
        self.router.run("nft", "-f", "-", stdin=RULES % {
            "number": self.number,
            "rate": RATE,
            "pass": "" if passing else "meta mark 1",
            "public": "%s.%d" % (PUBLIC, 1 + self.number % 250)})

    def passed(self):
        """Bytes (up, down) of connections since the last `let`."""
        text = self.router.run("nft", "-j", "list", "counters")
        found = {x["counter"]["name"]: x["counter"]["bytes"]
                 for x in json.loads(text)["nftables"] if "counter" in x}
        return found["up"], found["down"]


# ---- the kinds of change ----------------------------------------------------
#
# Each returns when the new path works.

def another_network(w):
    """Another interface, address, route and public address."""
    w.leave()
    w.forget()
    w.arrive(1 - w.where)


def another_translation(w):
    """Nothing to be seen on the laptop; old connections are dead."""
    w.forget()


def slow_network(w):
    """As the first, but for a while nothing passes the new network."""
    w.leave()
    w.forget(passing=False)
    w.arrive(1 - w.where)
    time.sleep(1 + w.number % 4)
    w.let(True)


def gap(w):
    """The cable is out for a while; then address and route as before."""
    address, where = w.address, w.where
    w.leave()
    w.forget()
    time.sleep(1.5)
    w.arrive(where, address)


# A repetition elsewhere may hit on a connection that is new by chance, but
# not twice in a row.
CHANGES = [another_network, another_translation, another_translation,
           slow_network, gap]


# ---- how far a guest has come -----------------------------------------------

def progress(guest):
    """
    Bytes that it has sent and received; it was started with progress_ms.
    """
    found = guest.process.find(r"^progress sent=(\d+) received=(\d+)",
                               since=max(0, guest.process.mark() - 3))
    return (int(found[-1].group(1)), int(found[-1].group(2))) if found \
        else (0, 0)


def wait_progress(guest, either, timeout=60):
    """Until it has sent or received so much, or it has ended."""
    wait_until(lambda: not guest.process.running() or
               max(progress(guest)) >= either,
               lambda: "the guest gets on: %s, not %d\n%s"
               % (progress(guest), either, guest.process.tail()),
               timeout=timeout, step=0.005)


# ---- what is left of it all -------------------------------------------------

def check_one_session(tap, t, mail, http):
    """Whatever happened: one session, and no stream of it was lost."""
    with tap.check("HTTP/%s: it was one session all the time" % http):
        found = t.gateway.find("session open")
        expect(len(found) == 1, "%d sessions" % len(found))
        t.client.expect_no_line("stream reset")
        mail.expect_no_line("^wrong")
