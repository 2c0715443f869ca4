"""
What the system tests stand on: starts the real programs (nginx, gateway,
client, stand-in Domino servers, link emulators) in a directory of their own,
waits for what they say, and ends all of them again.

Standard library only. A test is a script that makes a Tap, runs its checks
inside a World, and exits with tap.finish():

    tap = Tap()
    with World(tap, "bulk") as w:
        mail = w.domino("CN=Mail1/O=Acme")
        t = w.tunnel({"CN=Mail1/O=Acme": [mail.address]})
        with tap.check("a MiB comes down"):
            w.guest("down", t.address, bytes=1 << 20)
    tap.finish()

Environment: top_builddir and srcdir (automake sets them), NRPC_PLAIN_BUILDDIR
(a build without sanitizers, for what they make unmeasurable),
NRPC_TEST_BYTES (size of a large transfer), NRPC_TEST_KEEP (keep the
directories).
"""

import atexit
import base64
import collections
import contextlib
import ctypes
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
GIB = 1 << 30
MIB = 1 << 20
TEST_TIMEOUT_S = 900
RSS_LIMIT = 64 * MIB

_libc = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """A check failed; the text says what was seen."""


# ---- where things are -------------------------------------------------------

def _find_builddir():
    given = os.environ.get("top_builddir") or os.environ.get("abs_top_builddir")
    for place in filter(None, [given, os.getcwd(), HERE.parent.parent]):
        if (pathlib.Path(place) / "client" / "nrpc-tunnel").exists():
            return pathlib.Path(place).resolve()
    raise SystemExit("Bail out! no client/nrpc-tunnel here: set top_builddir "
                     "to the build directory")


def _is_sanitized(builddir):
    program = builddir / "client" / "nrpc-tunnel"
    return b"__asan_init" in program.read_bytes()


BUILDDIR = _find_builddir()
SANITIZED = _is_sanitized(BUILDDIR)


def plain_builddir():
    """The build whose memory can be measured; fails if there is none."""
    given = os.environ.get("NRPC_PLAIN_BUILDDIR")
    if given:
        place = pathlib.Path(given).resolve()
        if _is_sanitized(place):
            raise Failure("NRPC_PLAIN_BUILDDIR=%s is built with sanitizers"
                          % place)
        return place
    if not SANITIZED:
        return BUILDDIR
    raise Failure("memory cannot be measured with sanitizers: set "
                  "NRPC_PLAIN_BUILDDIR to a build without them")


def large(plain=GIB, sanitized=64 * MIB, build=None):
    """Bytes of a large transfer for the programs of this build."""
    size = sanitized if _is_sanitized(build or BUILDDIR) else plain
    given = os.environ.get("NRPC_TEST_BYTES")
    return min(int(given), size) if given else size


# ---- TAP --------------------------------------------------------------------

class Tap:
    """One line per check; goes on after a failure."""

    def __init__(self, timeout=TEST_TIMEOUT_S):
        self.count = 0
        self.failed = 0
        self.timeout = int(timeout)
        signal.signal(signal.SIGTERM, _interrupted)
        signal.signal(signal.SIGINT, _interrupted)
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(self.timeout)

    def _too_long(self, signum, frame):
        print("Bail out! the test took longer than %d s" % self.timeout,
              flush=True)
        traceback.print_stack(frame)
        raise SystemExit(1)

    def note(self, text):
        for line in str(text).splitlines():
            print("# " + line, flush=True)

    def _report(self, good, name):
        self.count += 1
        if not good:
            self.failed += 1
        print("%sok %d - %s" % ("" if good else "not ", self.count, name),
              flush=True)

    @contextlib.contextmanager
    def check(self, name):
        """The body is the check: whatever it raises makes it fail."""
        started = time.monotonic()
        try:
            yield
        except Failure as e:
            self._report(False, name)
            self.note(e)
        except Exception:  # a mistake in the test is a failure as well
            self._report(False, name)
            self.note(traceback.format_exc())
        else:
            self._report(True, name)
        if os.environ.get("NRPC_TEST_TIMES"):
            self.note("%.2f s" % (time.monotonic() - started))

    def finish(self):
        signal.alarm(0)
        print("1..%d" % self.count, flush=True)
        sys.exit(1 if self.failed else 0)


def _interrupted(signum, frame):
    raise SystemExit("interrupted by signal %d" % signum)


def expect(condition, text):
    if not condition:
        raise Failure(text)


def patience(seconds):
    """A deadline: the sanitizers make everything a few times slower."""
    return seconds * 4 if SANITIZED else seconds


def wait_until(question, what, timeout=10, step=0.02):
    """For what nobody announces: ask again until it is true."""
    end = time.monotonic() + patience(timeout)
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            text = what() if callable(what) else what
            raise Failure("waited %g s in vain: %s" % (patience(timeout),
                                                       text))
        time.sleep(step)


# ---- processes --------------------------------------------------------------

def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program under test and every line it writes."""

    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.log = open(directory / (name + ".log"), "ab")
        self.log.write(("$ %s\n" % " ".join(self.argv)).encode())
        self.log.flush()
        self.popen = subprocess.Popen(
            self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, cwd=directory, env=env,
            start_new_session=True, preexec_fn=_die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.popen.stdout:
            self.log.write(raw)
            self.log.flush()
            with self.changed:
                self.lines.append(raw.decode("utf-8", "replace").rstrip())
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        self.log.close()

    @property
    def pid(self):
        return self.popen.pid

    def mark(self):
        """A place in the log, for wait_line's `since`."""
        with self.changed:
            return len(self.lines)

    def tail(self, count=15):
        with self.changed:
            return "\n".join("  %s| %s" % (self.name, line)
                             for line in self.lines[-count:])

    def find(self, pattern, since=0):
        """All matches in lines that are there already."""
        with self.changed:
            found = [re.search(pattern, line) for line in self.lines[since:]]
        return [m for m in found if m]

    def wait_line(self, pattern, since=0, timeout=10, count=1):
        """Wait for the count-th line from `since` that matches."""
        end = time.monotonic() + patience(timeout)
        at = since
        with self.changed:
            while True:
                while at < len(self.lines):
                    m = re.search(pattern, self.lines[at])
                    at += 1
                    if m:
                        count -= 1
                        if count == 0:
                            return m
                left = end - time.monotonic()
                if self.ended or left <= 0:
                    break
                self.changed.wait(left)
        why = ("it has ended" if self.ended
               else "not within %g s" % patience(timeout))
        raise Failure("%s did not say /%s/: %s\n%s"
                      % (self.name, pattern, why, self.tail()))

    def expect_no_line(self, pattern, since=0):
        found = self.find(pattern, since)
        expect(not found, "%s said /%s/: %s" % (
            self.name, pattern, found[0].string if found else ""))

    def running(self):
        return self.popen.poll() is None

    def signal(self, signum):
        if self.running():
            self.popen.send_signal(signum)

    def wait_exit(self, timeout=10):
        try:
            status = self.popen.wait(patience(timeout))
        except subprocess.TimeoutExpired:
            raise Failure("%s still runs after %g s\n%s" % (
                self.name, patience(timeout), self.tail()))
        self.reader.join(5)
        return status

    def stop(self, timeout=10):
        """SIGTERM and wait; anything but a clean end is a failure."""
        self.signal(signal.SIGTERM)
        status = self.wait_exit(timeout)
        expect(status in (0, -signal.SIGTERM),
               "%s ended with status %s\n%s" % (self.name, status,
                                                self.tail(40)))

    def kill(self):
        """The end, whatever state it is in; its children too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self.reader.join(5)

    def complaints(self):
        """What a sanitizer or a crash has left behind."""
        bad = self.find(r"ERROR: \w*Sanitizer|runtime error:|Assertion .* failed"
                        r"|SUMMARY: \w*Sanitizer")
        return [m.string for m in bad]

    # -- /proc --

    def status_kib(self, field):
        text = pathlib.Path("/proc/%d/status" % self.pid).read_text()
        return int(re.search(field + r":\s*(\d+)", text).group(1))

    def rss(self):
        return self.status_kib("VmRSS") * 1024

    def peak_rss(self):
        return self.status_kib("VmHWM") * 1024

    def cpu_s(self):
        """Seconds of CPU, its own and the system's for it."""
        stat = pathlib.Path("/proc/%d/stat" % self.pid).read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))


class Listening(Process):
    """A program that says where it listens."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        try:
            self.address = self.wait_line(
                r"listen address=(127\S+)").group(1)
        except Failure:
            self.kill()
            raise

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])


class Guest:
    """A guest that runs beside the test."""

    def __init__(self, process):
        self.process = process

    def result(self, timeout=150, ok=True):
        """Its line of JSON; a failure unless it went as `ok` says."""
        status = self.process.wait_exit(timeout)
        lines = [x for x in self.process.lines if x.startswith("{")]
        expect(lines, "%s ended with status %s and no result\n%s"
               % (self.process.name, status, self.process.tail()))
        result = json.loads(lines[-1])
        expect(not self.process.complaints(), self.process.tail(60))
        if ok is not None:
            expect(result["ok"] == ok, "%s: %s\n%s" % (
                " ".join(self.process.argv[1:]),
                result.get("error", "went well"), self.process.tail(3)))
        return result


def reserve_port():
    """
    A port of 127.0.0.1 that is ours until the socket is closed. It is bound
    and does not listen: connections to it are refused, and a server that sets
    SO_REUSEADDR, as all here do, can listen there, and again after a restart.
    """
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    return s


# ---- nginx ------------------------------------------------------------------

NGINX_CONF = """
%(user)s
daemon off;
worker_processes 2;
error_log stderr warn;
pid nginx.pid;
events { worker_connections 4096; }
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
        listen %(address)s:%(port)d ssl%(http2)s;
        ssl_certificate %(ca)s/server.crt;
        ssl_certificate_key %(ca)s/server.key;
        location / {
            proxy_pass http://%(upstream)s;
            proxy_http_version 1.1;
        }
    }
}
"""


class Nginx(Process):
    """nginx with its default proxy settings in front of the gateway."""

    def __init__(self, directory, address, port, within=()):
        self.host = address
        self.port = port
        self.directory = directory
        super().__init__("nginx", [
            *within, shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
            or "nginx", "-p", str(directory), "-c", "nginx.conf",
            "-e", "stderr"], directory)
        self._wait_listening()

    def _wait_listening(self):
        def connects():
            if not self.running():
                raise Failure("nginx ended:\n" + self.tail())
            with socket.socket() as s:
                s.settimeout(1)
                return s.connect_ex((self.host, self.port)) == 0
        wait_until(connects, lambda: "nginx listens\n" + self.tail())

    def requests(self):
        """The lines of the access log so far."""
        path = self.directory / "access.log"
        return path.read_text().splitlines() if path.exists() else []


# ---- a tunnel with everything around it --------------------------------------

Tunnel = collections.namedtuple(
    "Tunnel", "gateway nginx client address addresses relay")


class World:
    """A directory, the programs started in it, and their end."""

    web_address = "127.0.0.1"
    web_host = "localhost"

    def __init__(self, tap, name, build=None):
        self.tap = tap
        self.build = build or BUILDDIR
        self.directory = pathlib.Path(tempfile.mkdtemp(
            prefix="nrpc-%s-" % name))
        # The gateway runs as another user and has to reach its files.
        self.directory.chmod(0o755)
        self.processes = []
        self.reserved = []
        self.names = collections.Counter()
        self.failed_before = tap.failed
        self.is_root = os.geteuid() == 0
        self.nobody = pwd.getpwnam("nobody") if self.is_root else None
        self.env = {k: v for k, v in os.environ.items()
                    if k.lower() not in ("http_proxy", "https_proxy",
                                         "all_proxy", "no_proxy")}
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        atexit.register(self._kill_all)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, (Failure, OSError)):
            # Setting up went wrong: a failed check of its own.
            self.tap._report(False, "the programs start")
            self.tap.note(value)
        self._kill_all()
        for s in self.reserved:
            s.close()
        for p in self.processes:
            for line in p.complaints():
                self.tap._report(False, "%s ran clean" % p.name)
                self.tap.note(line)
                self.tap.note(p.tail(60))
                break
        if (self.tap.failed > self.failed_before
                or os.environ.get("NRPC_TEST_KEEP")
                or (kind is not None and kind is not SystemExit)):
            self.tap.note("kept: %s" % self.directory)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
        atexit.unregister(self._kill_all)
        return kind is not None and issubclass(kind, (Failure, OSError))

    def _kill_all(self):
        for p in reversed(self.processes):
            if p.running():
                # A leak is only reported by a program that may end itself.
                p.signal(signal.SIGTERM)
        end = time.monotonic() + patience(3)
        for p in reversed(self.processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.popen.wait(max(0.01, end - time.monotonic()))
            p.kill()

    def _name(self, base):
        self.names[base] += 1
        count = self.names[base]
        return base if count == 1 else "%s%d" % (base, count)

    def _keep(self, process):
        self.processes.append(process)
        return process

    def within(self, kind):
        """
        What a program is started by: nothing, unless a kind of world has
        "client", "guest", "gateway" or "nginx" elsewhere.
        """
        return []

    def program(self, path):
        return self.build / path

    def source(self, path):
        """A file of the sources."""
        return HERE.parent.parent / path

    def process(self, name, argv):
        """Any other program, ended with the rest."""
        return self._keep(Process(self._name(name), argv, self.directory,
                                  self.env))

    def run(self, *argv, ok=True, timeout=30):
        """A short command; its output. ok=False: it has to fail."""
        done = subprocess.run([str(a) for a in argv], cwd=self.directory,
                              env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT,
                              timeout=patience(timeout))
        if ok is not None:
            expect((done.returncode == 0) == ok, "%s: status %d\n%s" % (
                " ".join(map(str, argv)), done.returncode, done.stdout))
        expect(done.returncode >= 0 and "Sanitizer" not in done.stdout,
               "%s: status %d\n%s" % (" ".join(map(str, argv)),
                                      done.returncode, done.stdout))
        return done.stdout

    # -- helpers of the tests --

    def domino(self, name, *options, listen="127.0.0.1:0"):
        return self._keep(Listening(
            self._name("domino"), [self.program("tests/support/domino"),
                                   "--listen", listen, "--name", name,
                                   *options], self.directory, self.env))

    def relay(self, to, *options):
        return self._keep(Listening(
            self._name("relay"), [self.program("tests/support/relay"),
                                  "--listen", "127.0.0.1:0", "--to", to,
                                  *options], self.directory, self.env))

    def mischief(self, to, *options):
        return self._keep(Listening(
            self._name("mischief"), [self.program("tests/support/mischief"),
                                     "--listen", "127.0.0.1:0", "--to", to,
                                     *options], self.directory, self.env))

    def guest_start(self, scenario, address, **options):
        argv = [*self.within("guest"), self.program("tests/support/guest"),
                scenario, address]
        options.setdefault("timeout", int(patience(120)))
        for key, value in options.items():
            argv.append("--" + key.replace("_", "-"))
            if value is not True:
                argv.append(value)
        return Guest(self._keep(Process(self._name("guest-" + scenario), argv,
                                        self.directory, self.env)))

    def guest(self, scenario, address, ok=True, **options):
        return self.guest_start(scenario, address, **options).result(ok=ok)

    def port(self):
        s = reserve_port()
        self.reserved.append(s)
        return s.getsockname()[1]

    def deaf_address(self):
        """An address where connecting neither works nor fails."""
        s = reserve_port()
        s.listen(0)
        self.reserved.append(s)
        for _ in range(4):
            fill = socket.socket()
            fill.setblocking(False)
            fill.connect_ex(s.getsockname())
            self.reserved.append(fill)
        return "127.0.0.1:%d" % s.getsockname()[1]

    def certificates(self, directory=None, common_name="localhost"):
        """A CA, and a certificate of it for localhost."""
        at = self.directory / (directory or "ca")
        at.mkdir(exist_ok=True)
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-nodes"]
        if not (at / "ca.crt").exists():
            self.run("openssl", "req", "-x509", *curve, "-days", "2",
                     "-subj", "/CN=Test CA", "-addext",
                     "keyUsage=critical,keyCertSign,cRLSign",
                     "-keyout", at / "ca.key",
                     "-out", at / "ca.crt")
        (at / "san.cnf").write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:%s\n"
            "authorityKeyIdentifier=keyid\n"
            "subjectKeyIdentifier=hash\n" % self.web_address)
        self.run("openssl", "req", *curve, "-subj", "/CN=" + common_name,
                 "-keyout", at / "server.key", "-out", at / "server.csr")
        self.run("openssl", "x509", "-req", "-in", at / "server.csr",
                 "-CA", at / "ca.crt", "-CAkey", at / "ca.key",
                 "-set_serial", str(time.time_ns()), "-days", "2",
                 "-extfile", at / "san.cnf", "-out", at / "server.crt")
        self.give(at / "server.key")
        return at

    def give(self, path):
        """Make a file or directory the gateway's, when it changes user."""
        if self.is_root:
            os.chown(path, self.nobody.pw_uid, self.nobody.pw_gid)

    # -- the gateway --

    @property
    def gateway_dir(self):
        at = self.directory / "gateway"
        if not at.exists():
            at.mkdir()
            at.chmod(0o755)
            self.give(at)
        return at

    def gateway_keygen(self):
        key = self.gateway_dir / "gateway.key"
        if not key.exists():
            out = self.run(self.program("server/nrpc-gateway"), "keygen",
                           key)
            self.gateway_key = find_key(out)
        return self.gateway_key

    def gateway_conf(self, servers, listen=None, gateway="", server=None):
        """
        Write the gateway's configuration. servers: name to its addresses;
        gateway: more lines of [gateway]; server: name to more lines of its
        section.
        """
        self.gateway_keygen()
        listens = listen or ["unix:%s" % (self.gateway_dir / "http.sock")]
        lines = ["[gateway]"]
        lines += ["listen = %s" % x for x in listens]
        lines += ["path = /nrpc",
                  "unix_mode = 0666",
                  "key_file = %s" % (self.gateway_dir / "gateway.key"),
                  "registry = %s" % (self.gateway_dir / "registry.db"),
                  "log_level = debug" if os.environ.get("NRPC_TEST_DEBUG")
                  else "log_level = info"]
        if self.is_root:
            lines.append("user = nobody")
        lines.append(gateway)
        for name, addresses in servers.items():
            lines.append("[server %s]" % name)
            lines += ["address = %s" % a for a in addresses]
            lines.append((server or {}).get(name, ""))
        path = self.gateway_dir / "gateway.conf"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o644)
        return path

    def gateway(self, *options):
        """Start it with the configuration written before."""
        p = self._keep(Process(
            self._name("gateway"),
            [*self.within("gateway"), self.program("server/nrpc-gateway"),
             "run", "--config", self.gateway_dir / "gateway.conf", *options],
            self.gateway_dir, self.env))
        p.wait_line(r"\bready\b")
        return p

    def gateway_do(self, *argv, ok=True):
        out = self.run(self.program("server/nrpc-gateway"), *argv, "--config",
                       self.gateway_dir / "gateway.conf", ok=ok)
        for path in self.gateway_dir.glob("registry.db*"):
            self.give(path)
        return out

    def device(self, name="laptop", *grants):
        """Make a device's key and register it; where its key is."""
        key = self.directory / (name + ".key")
        public = find_key(self.run(self.program("client/nrpc-tunnel"),
                                   "keygen", "--key-file", key))
        self.gateway_do("device", "add", name, public,
                        *(grants or ["--all-servers"]))
        return key

    # -- the web server --

    def nginx_conf(self, upstream=None, http2=True, port=None):
        at = self.directory / "nginx"
        if not at.exists():
            at.mkdir()
        self.nginx_port = port or getattr(self, "nginx_port", None) or \
            self.port()
        (at / "nginx.conf").write_text(NGINX_CONF % {
            "user": "user nobody nogroup;" if self.is_root else "",
            "address": self.web_address,
            "port": self.nginx_port,
            "http2": " http2" if http2 else "",
            "ca": self.directory / "ca",
            "upstream": upstream or "unix:%s:" % (
                self.gateway_dir / "http.sock"),
        })
        return at

    def nginx(self):
        at = self.directory / "nginx"
        return self._keep(Nginx(at, self.web_address, self.nginx_port,
                                self.within("nginx")))

    # -- the client --

    def client_conf(self, port, key=None, listens=None, http="auto",
                    gateway_key=None, client="", path="/nrpc",
                    name="client", plain=False):
        """listens: list of (address, server or "auto"). plain: no TLS."""
        lines = ["[gateway]",
                 "url = %s://%s:%d%s" % ("http" if plain else "https",
                                         self.web_host, port, path),
                 "allow_plain = %s" % ("yes" if plain else "no"),
                 "key = %s" % (gateway_key or self.gateway_key),
                 "ca_file = %s" % (self.directory / "ca" / "ca.crt"),
                 "http = %s" % http,
                 "[device]",
                 "key_file = %s" % (key or self.directory / "laptop.key")]
        for address, server in listens or [("127.0.0.1:0", "auto")]:
            lines += ["[listen %s]" % address, "server = %s" % server]
        lines += ["[client]",
                  "log_level = debug" if os.environ.get("NRPC_TEST_DEBUG")
                  else "log_level = info",
                  "status_socket = %s" % (self.directory
                                          / (name + ".sock")), client]
        file = self.directory / (name + ".conf")
        file.write_text("\n".join(lines) + "\n")
        return file

    def client(self, conf, up=True):
        p = self._keep(Process(
            self._name("client"),
            [*self.within("client"), self.program("client/nrpc-tunnel"),
             "run", "--config", conf],
            self.directory, self.env))
        p.wait_line(r"\bready\b")
        if up:
            p.wait_line(r"tunnel up\b", timeout=15)
        return p

    def status(self, name="client"):
        """What `nrpc-tunnel status --json` says."""
        return json.loads(self.run(
            self.program("client/nrpc-tunnel"), "status", "--json",
            "--config", self.directory / (name + ".conf")))

    def addresses(self, client):
        return [m.group(1) for m in
                client.find(r"listen address=(\S+) server=")]

    def tunnel(self, servers, http="2", gateway="", server=None, listens=None,
               grants=(), relay=None, client="", upstream="unix"):
        """
        All of it: certificates, gateway, nginx, a relay in front of it if
        `relay` is a list of options, a device, the client.
        """
        self.certificates()
        listen = None
        where = None
        if upstream == "tcp":
            port = self.port()
            listen = ["127.0.0.1:%d" % port]
            where = listen[0]
        self.gateway_conf(servers, listen=listen, gateway=gateway,
                          server=server)
        key = self.device("laptop", *grants)
        gw = self.gateway()
        self.nginx_conf(upstream=where, http2=http == "2")
        web = self.nginx()
        port = web.port
        link = None
        if relay is not None:
            link = self.relay("127.0.0.1:%d" % port, *relay)
            port = link.port
        conf = self.client_conf(port, key, listens=listens, http=http,
                                client=client)
        cl = self.client(conf)
        addresses = self.addresses(cl)
        return Tunnel(gw, web, cl, addresses[0], addresses, link)


def find_key(text):
    """The public key in what keygen printed."""
    for word in re.findall(r"[A-Za-z0-9+/]{43}=", text):
        if len(base64.b64decode(word)) == 32:
            return word
    raise Failure("keygen printed no public key: " + text)


def check_memory(tap, *processes):
    """Resident memory never was above the limit (plain builds only)."""
    for p in processes:
        with tap.check("%s stayed below %d MiB of resident memory" % (
                p.name, RSS_LIMIT // MIB)):
            peak = p.peak_rss()
            tap.note("%s peak %.1f MiB" % (p.name, peak / MIB))
            expect(peak < RSS_LIMIT, "peak was %.1f MiB" % (peak / MIB))


def builds_to_run(tap):
    """
    The builds a test of volume and memory runs with, each with whether its
    memory is measured: the one under test and, if that has sanitizers, a
    plain one as well. Without any plain one that is a failed check.
    """
    if not SANITIZED:
        return [(BUILDDIR, True)]
    tap.note("%s: memory not measured: sanitizers" % BUILDDIR)
    builds = [(BUILDDIR, False)]
    with tap.check("there is a build whose memory can be measured"):
        builds.append((plain_builddir(), True))
    return builds


def each_http():
    """Both protocols, unless NRPC_TEST_HTTP names one."""
    only = os.environ.get("NRPC_TEST_HTTP")
    return [only] if only else ["2", "1.1"]
