"""
The gateway: its key, its configuration, the devices it knows, and starting it.
When the test is root's, the gateway changes to another user.
"""

import base64
import os
import re

from process import Process
from tap import Failure
from workplace import Workplace


def find_key(text):
    """The public key in what keygen printed."""
    for word in re.findall(r"[A-Za-z0-9+/]{43}=", text):
        if len(base64.b64decode(word)) == 32:
            return word
    raise Failure("keygen printed no public key: " + text)


class WithGateway(Workplace):
    """One gateway, in a directory that is its own."""

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
