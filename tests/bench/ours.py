"""
The tunnel as a contender: gateway behind nginx, and client, of one build.
"""

import base64
import re

from peers import ENTRY, Contender
from proc import Failure, run
from web import shipped, start_apache, start_haproxy, start_nginx

GATEWAY = "127.0.0.1:8352"
SERVER = "CN=Bench/O=Acme"

GATEWAY_CONF = """
[gateway]
listen = %(listen)s
path = /nrpc
unix_mode = 0666
key_file = %(keys)s/gateway.key
registry = %(keys)s/registry.db
user = root
log_level = info
%(more)s
[server %(server)s]
address = %(target)s
"""

# A listener with a fixed server carries any protocol, not only NRPC.
CLIENT_CONF = """
[gateway]
url = https://%(host)s/nrpc
key = %(key)s
ca_file = %(ca)s/ca.crt
http = %(http)s
[device]
key_file = %(keys)s/device.key
[client]
log_level = info
status_socket = %(directory)s/status.sock
[listen %(entry)s]
server = %(server)s
"""


class Build:
    """A build directory, and keys that its programs have made."""

    def __init__(self, directory, keys):
        self.directory = directory.resolve()
        self.client = self._program("client/nrpc-tunnel")
        self.gateway = self._program("server/nrpc-gateway")
        self.keys = keys
        keys.mkdir()
        conf = keys / "keys.conf"
        conf.write_text(GATEWAY_CONF % {
            "listen": GATEWAY, "keys": keys, "server": SERVER,
            "target": "127.0.0.1:1352", "more": ""})
        self.key = _public_key(run([self.gateway, "keygen",
                                    keys / "gateway.key"]))
        device = _public_key(run([self.client, "keygen", "--key-file",
                                  keys / "device.key"]))
        run([self.gateway, "device", "add", "bench", device, "--all-servers",
             "--config", conf])

    def _program(self, name):
        path = self.directory / name
        if not path.exists():
            raise Failure("%s is not built" % path)
        if b"__asan_init" in path.read_bytes():
            raise Failure("%s is built with sanitizers: such a program "
                          "cannot be measured" % path)
        return path


def _public_key(text):
    for word in re.findall(r"[A-Za-z0-9+/]{43}=", text):
        if len(base64.b64decode(word)) == 32:
            return word
    raise Failure("keygen printed no public key: " + text)


class Tunnel(Contender):
    ours = True
    http_based = True

    def __init__(self, name, title, http="auto", web="tuned", unix=False,
                 build=None, places=None):
        """web: "tuned" or "minimal" nginx, "haproxy", "apache"."""
        super().__init__(name, title, places)
        self.http = http
        self.web = web
        self.unix = unix
        self.build = build

    def of(self, build):
        """The same of another build."""
        return Tunnel("old:" + self.name, "old: " + self.title, self.http,
                      self.web, self.unix, build, self.places)

    def _window(self, build):
        """As packaging/nginx has it; a build to compare may be older."""
        knows = b"http2_window" in build.gateway.read_bytes()
        return ("http2_window = 256k" if knows and self.web == "tuned"
                else "")

    def _start_web(self, world, upstream):
        if self.web == "haproxy":
            start_haproxy(world, upstream)
        elif self.web == "apache":
            start_apache(world, upstream)
        else:
            start_nginx(world, shipped(upstream)[self.web])

    def start(self, world):
        build = self.build or world.bench.build
        listen = GATEWAY
        upstream = GATEWAY
        if self.unix:
            listen = "unix:%s/gateway.sock" % world.directory
            upstream = listen
        fill = {"listen": listen, "keys": build.keys, "server": SERVER,
                "target": world.target_address, "key": build.key,
                "host": world.server_address, "ca": world.bench.ca,
                "http": self.http, "directory": world.directory,
                "entry": ENTRY, "more": self._window(build)}
        gateway = world.start("server", "gateway", [
            build.gateway, "run", "--config",
            world.file("gateway.conf", GATEWAY_CONF % fill)])
        gateway.wait_line(r"\bready\b")
        self._start_web(world, upstream)
        client = world.start("client", "client", [
            build.client, "run", "--config",
            world.file("client.conf", CLIENT_CONF % fill)])
        up = client.wait_line(r"tunnel up\b.* http=(\S+)", timeout=15)
        world.facts["HTTP version"] = up.group(1)
        return ENTRY


def contenders():
    return [
        Tunnel("tunnel", "tunnel"),
        Tunnel("tunnel-h1", "tunnel, HTTP/1.1", http="1.1"),
        Tunnel("tunnel-h2", "tunnel, HTTP/2", http="2"),
        # What matters there is that nothing stalls, which distance hides.
        Tunnel("tunnel-defaults", "tunnel, nginx's defaults",
               web="minimal", places=("loopback",)),
        Tunnel("tunnel-haproxy", "tunnel, HAProxy", web="haproxy"),
        Tunnel("tunnel-haproxy-h1", "tunnel, HAProxy, HTTP/1.1", http="1.1",
               web="haproxy"),
        Tunnel("tunnel-apache", "tunnel, Apache", web="apache"),
        Tunnel("tunnel-apache-h1", "tunnel, Apache, HTTP/1.1", http="1.1",
               web="apache"),
        Tunnel("tunnel-unix", "tunnel, gateway on a unix socket", unix=True),
    ]
