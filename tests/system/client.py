"""
The client: its configuration, starting it, and what it says about itself.
"""

import json
import os

from gateway import WithGateway
from process import Process


class WithClient(WithGateway):
    """Clients of the gateway; each has the key of a device."""

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
