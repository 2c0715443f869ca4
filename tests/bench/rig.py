"""
What the benches of memory and growth stand on: the programs under test behind
nginx with TLS and the settings of packaging/nginx, started by the system
tests' harness, and what /proc says about them.

Standard library only. Takes top_builddir and srcdir from the environment as
the system tests do.
"""

import os
import pathlib
import re
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

import harness  # noqa: E402
import web  # noqa: E402

SERVER = "CN=Mail1/O=Acme"
TICKS = os.sysconf("SC_CLK_TCK")

NGINX_CONF = """
%(user)s
daemon off;
worker_processes %(workers)d;
worker_rlimit_nofile %(files)d;
error_log stderr error;
pid nginx.pid;
events { worker_connections %(connections)d; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    %(upstream)s
    server {
        %(listens)s
        ssl_certificate %(ca)s/server.crt;
        ssl_certificate_key %(ca)s/server.key;
        %(more)s
        %(location)s
    }
}
"""


class Quiet:
    """In place of TAP: a bench fails by an exception."""

    failed = 0

    def note(self, text):
        print(text, file=sys.stderr, flush=True)

    def _report(self, good, name):
        if not good:
            self.failed += 1
            self.note("failed: " + name)


def nginx(w, http="2", workers=2, connections=8192, ports=1, more=""):
    """
    Start nginx as packaging/nginx has it, in front of the gateway's unix
    socket, on so many ports; more: further lines of its server.
    """
    at = w.directory / "nginx"
    at.mkdir()
    w.nginx_ports = [w.port() for _ in range(ports)]
    w.nginx_port = w.nginx_ports[0]
    upstream, location = web.shipped(
        "unix:%s" % (w.gateway_dir / "http.sock"))["tuned"]
    (at / "nginx.conf").write_text(NGINX_CONF % {
        "user": "user nobody nogroup;" if w.is_root else "",
        "workers": workers,
        "connections": connections, "files": connections + 100,
        "listens": "".join(
            "listen 127.0.0.1:%d ssl%s backlog=4096;\n" % (
                port, " http2" if http == "2" else "")
            for port in w.nginx_ports),
        "ca": w.directory / "ca", "more": more,
        "upstream": upstream, "location": location})
    return w._keep(harness.Nginx(at, w.web_address, w.nginx_port))


class Rig(harness.World):
    """Certificates, one device, a stand-in server, gateway and nginx."""

    def __init__(self, name, gateway="", http="2", workers=2):
        super().__init__(Quiet(), name)
        self.http = http
        self.certificates()
        self.server = self.domino(SERVER)
        # As packaging/nginx has it.
        self.gateway_conf({SERVER: [self.server.address]},
                          gateway="http2_window = 256k\n" + gateway)
        self.key = self.device()
        self.gw = self.gateway()
        self.web = nginx(self, http, workers)
        self.conf = self.client_conf(
            self.nginx_port, self.key, listens=[("127.0.0.1:0", SERVER)],
            http=http)

    def fleet(self, sessions, *options, name="fleet"):
        text = self.conf.read_text().replace("log_level = info",
                                             "log_level = error")
        conf = self.directory / "fleet.conf"
        conf.write_text(text)
        return self._keep(harness.Process(
            self._name(name),
            [self.program("tests/bench/fleet"), "--config", conf,
             "--sessions", sessions, *options], self.directory, self.env))

    def pids(self):
        """Of the programs that are measured, by name."""
        return {"gateway": [self.gw.pid],
                "nginx": [self.web.pid] + children(self.web.pid)}

    def end(self):
        """Stop what was started; those that end badly are a failure."""
        for p in reversed(self.processes):
            if p.running():
                p.signal(signal.SIGTERM)
        self.__exit__(None, None, None)


# ---- /proc ------------------------------------------------------------------

def children(pid):
    path = "/proc/%d/task/%d/children" % (pid, pid)
    with open(path) as f:
        return [int(x) for x in f.read().split()]


def pss_kib(pids, field="Pss"):
    """Proportional share of memory: what is shared counts once in all."""
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += int(re.search(r"^%s:\s+(\d+)" % field, f.read(),
                                   re.M).group(1))
    return total


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/status" % pid) as f:
            total += int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))
    return total


def cpu_s(pids):
    """User and system time so far, from the scheduler where it tells."""
    total = 0.0
    for pid in pids:
        try:
            with open("/proc/%d/schedstat" % pid) as f:
                total += int(f.read().split()[0]) / 1e9
        except OSError:
            with open("/proc/%d/stat" % pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def machine_s():
    """CPU time that the machine's cores were busy, whoever used it."""
    with open("/proc/stat") as f:
        fields = [int(x) for x in f.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS
