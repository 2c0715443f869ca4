"""
Programs in network namespaces: starting and ending them, what they say, and
what CPU time and memory they and their children take.

Everything runs in a PID namespace of its own (see enter()), so that nothing
outlives the bench, however that ends.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

INSIDE = "NRPC_BENCH_INSIDE"
PROC = pathlib.Path("/proc")

# A proxy of the environment must not come between the programs.
ENV = {k: v for k, v in os.environ.items()
       if k.lower() not in ("http_proxy", "https_proxy", "all_proxy",
                            "no_proxy", INSIDE.lower())}


class Failure(Exception):
    """A program did not do what it has to; the text says what was seen."""


def enter():
    """
    Run the rest of this script in PID and mount namespaces of its own: when
    its first process, which is this one, ends, the kernel ends all others.
    """
    if os.environ.get(INSIDE):
        # Ours alone: for what we write, and sshd wants a directory there.
        run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
        (pathlib.Path("/run") / "sshd").mkdir(mode=0o755)
        return
    if os.geteuid() != 0:
        raise SystemExit("bench: only root can make network namespaces; "
                         "run it as root")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--pid", "--fork",
                          "--kill-child", "--mount-proc", "--",
                          sys.executable, "-B", *sys.argv])


def allow_congestion(name):
    """
    A namespace takes only a congestion control that the machine allows to
    all; with another default than cubic, cubic may not be among those.
    Returns what to call to have it as it was before.
    """
    allowed = PROC / "sys/net/ipv4/tcp_allowed_congestion_control"
    before = allowed.read_text()
    if name in before.split():
        return lambda: None
    try:
        allowed.write_text(before.strip() + " " + name)
    except OSError as e:
        raise Failure("this kernel has no congestion control %r: %s" % (
            name, e))
    return lambda: allowed.write_text(before)


def interrupt(signum, frame):
    for further in (signal.SIGTERM, signal.SIGINT):
        signal.signal(further, signal.SIG_IGN)
    raise SystemExit("bench: ended by signal %d" % signum)


def run(argv, timeout=30, cwd=None):
    """A short command; what it printed."""
    try:
        done = subprocess.run([str(a) for a in argv], env=ENV, cwd=cwd,
                              stdin=subprocess.DEVNULL, timeout=timeout,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise Failure("%s is not installed" % argv[0])
    except subprocess.TimeoutExpired:
        raise Failure("%s: not done in %d s" % (argv[0], timeout))
    if done.returncode != 0:
        raise Failure("%s: status %d\n%s" % (" ".join(map(str, argv)),
                                             done.returncode, done.stdout))
    return done.stdout


def wait_until(question, what, timeout=10):
    """Ask until the answer is true; `what` may be a function."""
    end = time.monotonic() + timeout
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failure("waited %g s in vain: %s" % (
                timeout, what() if callable(what) else what))
        time.sleep(0.005)


class Namespace:
    """A network namespace, held by a process that does nothing."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c",
             "echo made; exec sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"made\n":
            raise Failure("no network namespace could be made")
        self.path = "/proc/%d/ns/net" % self.holder.pid
        self.run("ip", "link", "set", "lo", "up")

    def command(self, argv):
        return ["nsenter", "--net=" + self.path, "--", *map(str, argv)]

    def run(self, *argv):
        return run(self.command(argv))

    def sysctl_set(self, key, value):
        self.run("sysctl", "-q", "-w", "%s=%s" % (key, value))

    def sysctl(self, key):
        """Its value, or None where this kernel does not have it."""
        try:
            return " ".join(self.run("sysctl", "-n", key).split())
        except Failure:
            return None

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Process:
    """
    A program in a namespace. Its output goes to a file, which is only read
    when somebody waits for a line: reading along would take CPU time from
    what is measured.
    """

    def __init__(self, name, argv, namespace, directory, stdin=None):
        self.name = name
        self.argv = [str(a) for a in argv]
        self.path = directory / (name + ".log")
        with open(self.path, "wb") as log:
            self.popen = subprocess.Popen(
                namespace.command(self.argv), env=ENV, cwd=directory,
                stdin=stdin or subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        return self.path.read_text(errors="replace")

    def tail(self, count=12):
        return "\n".join("  %s| %s" % (self.name, line)
                         for line in self.output().splitlines()[-count:])

    def running(self):
        return self.popen.poll() is None

    def check_running(self):
        if not self.running():
            raise Failure("%s ended by itself with status %s\n%s" % (
                self.name, self.popen.returncode, self.tail()))

    def wait_line(self, pattern, timeout=10):
        def seen():
            found = re.search(pattern, self.output(), re.M)
            if not found:
                self.check_running()
            return found
        return wait_until(seen, lambda: "%s says /%s/\n%s" % (
            self.name, pattern, self.tail()), timeout)

    def stop(self, timeout=3):
        """SIGTERM, and if that does not help SIGKILL, to all its children."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait()


# ---- what programs take -----------------------------------------------------

def family(pids):
    """These processes and all their descendants."""
    parents = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # it has just ended
        # The name, in parentheses, may hold blanks and parentheses.
        parents[int(stat.parent.name)] = int(
            text.rpartition(")")[2].split()[1])
    found = set(pids)
    grown = True
    while grown:
        more = {p for p, parent in parents.items() if parent in found}
        grown = not more <= found
        found |= more
    return found


def everything():
    """All processes of this PID namespace."""
    return [int(p.name) for p in PROC.glob("[0-9]*")]


def cpu_seconds_of(pids):
    """
    CPU time of these processes, all threads, user and system. This is the
    kernel's clock of a process, clock_getcpuclockid(3): the same sum as in
    /proc/PID/stat, in nanoseconds instead of ticks of 10 ms.
    """
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            pass  # it has ended
    return total


def cpu_seconds(processes):
    """CPU time of the programs and their children so far."""
    return cpu_seconds_of(family(p.pid for p in processes))


def pss_kib(processes):
    """Memory of the programs; shared pages are split among their users."""
    total = 0
    for pid in family(p.pid for p in processes):
        try:
            text = (PROC / str(pid) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s*(\d+)", text, re.M).group(1))
    return total


def machine_seconds():
    """CPU time that the whole machine has spent on work, stolen time too."""
    fields = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    busy = sum(int(f) for i, f in enumerate(fields[:8]) if i not in (3, 4))
    return busy / os.sysconf("SC_CLK_TCK")


class LoadRun:
    """One run of the load generator and the line of JSON it prints."""

    LIMIT_S = 150               # it has deadlines of its own

    def __init__(self, name, argv, namespace, directory):
        self.name = name
        self.errors = open(directory / (name + ".err"), "w+")
        self.popen = subprocess.Popen(
            namespace.command(argv), env=ENV, cwd=directory,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True)
        self.cpu_s = None
        self.watchdog = threading.Timer(self.LIMIT_S, self.popen.kill)
        self.watchdog.daemon = True
        self.watchdog.start()

    @property
    def pid(self):
        return self.popen.pid

    def line(self):
        """Its next line of JSON; it prints one, or ends."""
        text = self.popen.stdout.readline()
        if not text.startswith("{"):
            self._fail(self._reap())
        return json.loads(text)

    def result(self):
        """Its result, when it has ended; a failure unless all went well."""
        text = self.popen.stdout.read()
        status = self._reap()
        if status != 0 or not text.startswith("{"):
            self._fail(status)
        self.errors.close()
        return json.loads(text.splitlines()[-1])

    def close(self):
        """End one that holds connections."""
        self.popen.stdin.close()
        status = self._reap()
        if status != 0:
            self._fail(status)

    def abandon(self):
        if self.popen.returncode is None:
            self.popen.kill()
            self._reap()

    def _reap(self):
        self.watchdog.cancel()
        if not self.popen.stdin.closed:
            self.popen.stdin.close()
        try:
            _, status, usage = os.wait4(self.popen.pid, 0)
        except ChildProcessError:  # a signal came when it was just over
            self.popen.returncode = -1
            return -1
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.popen.stdout.close()
        self.cpu_s = usage.ru_utime + usage.ru_stime
        return self.popen.returncode

    def _fail(self, status):
        self.errors.seek(0)
        said = self.errors.read().strip()
        self.errors.close()
        raise Failure("load %s: %s" % (self.name, said or
                                       "ended with status %d" % status))
