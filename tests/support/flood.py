#!/usr/bin/env python3
"""
A stranger with bad intentions, for one source address: hellos at a rate,
requests that never become whole, and noise, all through HTTPS at the web
server's port.

  flood.py --port P --from 127.0.0.2 [--hellos PER_SECOND] [--slow COUNT]

Says "flooding" when the slow connections stand, goes on until SIGTERM, and
then prints one line of JSON: how many of each were sent, and what came back.
"""

import argparse
import base64
import collections
import json
import os
import random
import re
import signal
import socket
import ssl
import time

BATCH_S = 0.02
TRICKLE_S = 1.0
STATUS = re.compile(rb"HTTP/1\.1 (\d+) ")

stopping = False


def stop(signum, frame):
    global stopping
    stopping = True


def options():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--from", dest="source", default="127.0.0.2")
    p.add_argument("--hellos", type=int, default=0)
    p.add_argument("--slow", type=int, default=0)
    return p.parse_args()


def connect(o, context):
    s = socket.create_connection(("127.0.0.1", o.port), 20,
                                 source_address=(o.source, 0))
    return context.wrap_socket(s, server_hostname="localhost")


def head(length):
    session = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
    return ("POST /nrpc/%s HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Length: %d\r\n\r\n" % (session, length)).encode()


def hello():
    """Whole by its length, so that only the key agreement can tell."""
    body = os.urandom(200)
    return head(204) + b"\xf1\x01" + len(body).to_bytes(2, "big") + body


def noise(rng):
    body = os.urandom(rng.randrange(1, 20000))
    return head(len(body)) + body


class Fast:
    """One connection full of hellos and noise, opened anew when it ends."""

    def __init__(self, o, context):
        self.o = o
        self.context = context
        self.rng = random.Random(1)
        self.statuses = collections.Counter()
        self.sent = 0
        self.pending = b""
        self.rest = b""
        self.socket = None

    def open(self):
        self.socket = connect(self.o, self.context)
        self.socket.setblocking(False)
        self.pending = self.rest = b""

    def put(self, count):
        if len(self.pending) > 1 << 20:     # the other end cannot keep up
            return
        for _ in range(count):
            self.pending += (noise(self.rng) if self.rng.random() < 0.02
                             else hello())
        self.sent += count

    def run(self):
        try:
            if self.socket is None:
                self.open()
            self.receive()
            while self.pending:
                n = self.socket.send(self.pending[:65536])
                self.pending = self.pending[n:]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.close()

    def receive(self):
        try:
            while True:
                data = self.socket.recv(65536)
                if not data:
                    self.close()
                    raise ConnectionError("ended")
                data = self.rest + data
                last = 0
                for m in STATUS.finditer(data):
                    self.statuses[m.group(1).decode()] += 1
                    last = m.end()
                self.rest = data[max(last, len(data) - 12):]
        except ssl.SSLWantReadError:
            pass

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class Slow:
    """A connection whose head or body comes byte by byte."""

    def __init__(self, o, context, in_body):
        self.o = o
        self.context = context
        self.in_body = in_body
        self.socket = None
        self.cut = 0

    def open(self):
        self.socket = connect(self.o, self.context)
        self.socket.setblocking(False)
        begin = head(200000)
        self.socket.send(begin if self.in_body else begin[:20])

    def trickle(self):
        try:
            if self.socket is None:
                self.open()
                return
            self.socket.send(b"\x00" if self.in_body else b"x")
            if not self.socket.recv(4096):
                raise ConnectionError("ended")
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.cut += 1
            if self.socket is not None:
                self.socket.close()
            self.socket = None


def main():
    signal.signal(signal.SIGTERM, stop)
    o = options()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    slow = [Slow(o, context, i % 2 == 0) for i in range(o.slow)]
    for s in slow:
        if stopping:
            break
        s.trickle()
    fast = [Fast(o, context) for _ in range(4 if o.hellos else 0)]
    print("flooding", flush=True)

    begun = time.monotonic()
    due = 0.0
    turn = 0
    while not stopping:
        passed = time.monotonic() - begun
        count = int(passed * o.hellos - due)
        due += count
        for i, f in enumerate(fast):
            f.put(count // len(fast) + (i < count % len(fast)))
            f.run()
        # Every slow one once in TRICKLE_S, spread over the turns.
        share = len(slow) * BATCH_S / TRICKLE_S
        upto = int(turn * share)
        turn += 1
        for i in range(upto, int(turn * share)):
            slow[i % len(slow)].trickle()
        time.sleep(max(0, begun + turn * BATCH_S - time.monotonic()))
    statuses = collections.Counter()
    for f in fast:
        statuses += f.statuses
    print(json.dumps({"seconds": time.monotonic() - begun,
                      "sent": sum(f.sent for f in fast),
                      "statuses": statuses,
                      "cut": sum(s.cut for s in slow)}), flush=True)


main()
