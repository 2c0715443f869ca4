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

All that a test needs comes from here. It is made in

    tap.py          checks and their lines of TAP
    builds.py       which build is tested, and what can be asked of it
    process.py      a program, what it says, and waiting for that
    workplace.py    a directory, the programs in it, and their end
    gateway.py, nginx.py, client.py, standins.py
                    the programs themselves, and how they are configured

Environment: top_builddir and srcdir (automake sets them), NRPC_PLAIN_BUILDDIR
(a build without sanitizers, for what they make unmeasurable),
NRPC_TEST_BYTES (size of a large transfer), NRPC_TEST_KEEP (keep the
directories).
"""

import collections
import os

from builds import (GIB, HERE, MIB, SANITIZED,  # noqa: F401
                    builds_to_run, check_memory, large, patience)
from client import WithClient
from gateway import find_key  # noqa: F401
from nginx import Nginx, WithNginx  # noqa: F401
from process import (Process, tool, wait_settled,  # noqa: F401
                     wait_until)
from standins import WithStandins
from tap import Failure, Tap, expect  # noqa: F401

Tunnel = collections.namedtuple(
    "Tunnel", "gateway nginx client address addresses relay")


class World(WithStandins, WithNginx, WithClient):
    """Everything that a tunnel consists of, and what is around it."""

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


def each_http():
    """Both protocols, unless NRPC_TEST_HTTP names one."""
    only = os.environ.get("NRPC_TEST_HTTP")
    return [only] if only else ["2", "1.1"]
