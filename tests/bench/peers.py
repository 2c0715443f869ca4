"""
What users could take instead of the tunnel. A contender starts its programs
in a world and says where the load generator is to connect; a further one is a
class like those below and an entry in contenders().
"""

import json
import re

from proc import run
from web import NGINX_PORT, find, start_nginx, wait_listening

ENTRY_PORT = 13520
ENTRY = "127.0.0.1:%d" % ENTRY_PORT     # on the client's side
PEER_PORT = 8443                        # of a peer's server half


class Contender:
    """
    name and title say what it is; `places` where it runs (None: everywhere).
    """

    ours = False
    http_based = False          # goes through nginx
    websocket = False
    one_connection = False      # can carry one TCP connection at a time

    def __init__(self, name, title, places=None):
        self.name = name
        self.title = title
        self.places = places

    def version(self):
        """Of its programs, for the report."""
        return None

    def start(self, world):
        """Start all of it; the address to connect to."""
        raise NotImplementedError


class Raw(Contender):
    """TCP to the target, nothing between."""

    def start(self, world):
        return world.target_address


class Stunnel(Contender):
    """TLS 1.3; each connection is one of its own."""

    CLIENT = """
foreground = yes
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
client = yes
accept = %s
connect = %s:%d
CAfile = %s/ca.crt
verifyChain = yes
"""
    SERVER = """
foreground = yes
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[bench]
accept = %s:%d
connect = %s
cert = %s/server.crt
key = %s/server.key
"""

    def version(self):
        said = run([find("stunnel4"), "-version"])
        return re.search(r"stunnel \S+.*", said).group(0)

    def start(self, world):
        ca = world.bench.ca
        program = find("stunnel4")
        server = world.start("server", "stunnel-server", [
            program, world.file("stunnel-server.conf", self.SERVER % (
                world.server_address, PEER_PORT, world.target_address, ca,
                ca))])
        wait_listening(world.server_side, server, PEER_PORT)
        client = world.start("client", "stunnel-client", [
            program, world.file("stunnel-client.conf", self.CLIENT % (
                ENTRY, world.server_address, PEER_PORT, ca))])
        wait_listening(world.client_side, client, ENTRY_PORT)
        return ENTRY


class Ssh(Contender):
    """ssh -L to an sshd of its own; all connections in one."""

    # Not the first choice of OpenSSH 9.2, but the quicker one where the
    # processor has AES.
    CIPHER = "aes128-gcm@openssh.com"
    SERVER = """
ListenAddress %s:%d
HostKey %s
AuthorizedKeysFile %s
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
AllowTcpForwarding local
"""

    def version(self):
        return run(["ssh", "-V"]).strip()

    def start(self, world):
        at = world.directory
        for name in ("host-key", "user-key"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                 at / name])
        host = (at / "host-key.pub").read_text()
        world.file("known", "[%s]:%d %s" % (world.server_address, PEER_PORT,
                                            host))
        server = world.start("server", "sshd", [
            find("sshd"), "-D", "-e", "-f",
            world.file("sshd.conf", self.SERVER % (
                world.server_address, PEER_PORT, at / "host-key",
                at / "user-key.pub"))])
        wait_listening(world.server_side, server, PEER_PORT)
        client = world.start("client", "ssh", [
            find("ssh"), "-F", "none", "-N", "-p", PEER_PORT, "-i",
            at / "user-key", "-o", "UserKnownHostsFile=%s" % (at / "known"),
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", "ExitOnForwardFailure=yes", "-c", self.CIPHER,
            "-L", "%s:%s" % (ENTRY, world.target_address),
            "root@" + world.server_address])
        wait_listening(world.client_side, client, ENTRY_PORT)
        return ENTRY


class V2ray(Contender):
    """A WebSocket in TLS through the same nginx; one for each connection."""

    http_based = True
    websocket = True
    ID = "6c2f7f0e-5b0c-4a43-9d0e-3f1b7b1a52c4"
    PORT = 10001
    # The WebSocket proxying of nginx's manual, with the tunnel's buffer: with
    # the default of 4 KiB bulk is about half as fast.
    LOCATION = """
location /ray {
    proxy_pass http://127.0.0.1:%d;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_buffering off;
    proxy_buffer_size 64k;
    proxy_buffers 8 64k;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    access_log off;
}
""" % PORT

    def version(self):
        return run([find("v2ray"), "-version"]).splitlines()[0]

    # VLESS without encryption of its own is the quickest of its protocols,
    # as TLS is there already. No mux: a connection would be quicker to make
    # (0.51x raw TCP at a distance), but small exchanges wait behind bulk, for
    # 240 ms even on loopback, and cost three times as much.
    def server_conf(self):
        return {
            "log": {"loglevel": "warning"},
            "inbounds": [{
                "listen": "127.0.0.1", "port": self.PORT,
                "protocol": "vless",
                "settings": {"clients": [{"id": self.ID}],
                             "decryption": "none"},
                "streamSettings": {"network": "ws",
                                   "wsSettings": {"path": "/ray"}}}],
            "outbounds": [{"protocol": "freedom"}],
        }

    def client_conf(self, world):
        target, port = world.target_address.split(":")
        listen, listen_port = ENTRY.split(":")
        return {
            "log": {"loglevel": "warning"},
            "inbounds": [{
                "listen": listen, "port": int(listen_port),
                "protocol": "dokodemo-door",
                "settings": {"address": target, "port": int(port),
                             "network": "tcp"}}],
            "outbounds": [{
                "protocol": "vless",
                "settings": {"vnext": [{
                    "address": world.server_address, "port": NGINX_PORT,
                    "users": [{"id": self.ID, "encryption": "none"}]}]},
                "streamSettings": {
                    "network": "ws", "security": "tls",
                    "wsSettings": {"path": "/ray"},
                    "tlsSettings": {
                        "disableSystemRoot": True,
                        "certificates": [{
                            "usage": "verify",
                            "certificateFile":
                                str(world.bench.ca / "ca.crt")}]}}}],
        }

    def start(self, world):
        program = find("v2ray")
        server = world.start("server", "v2ray-server", [
            program, "-config", world.file("v2ray-server.json",
                                           json.dumps(self.server_conf()))])
        wait_listening(world.server_side, server, self.PORT)
        start_nginx(world, ("", self.LOCATION))
        client = world.start("client", "v2ray-client", [
            program, "-config", world.file(
                "v2ray-client.json", json.dumps(self.client_conf(world)))])
        wait_listening(world.client_side, client, ENTRY_PORT)
        return ENTRY


class Httptunnel(Contender):
    """Plain HTTP, not through nginx: it needs streaming both ways."""

    one_connection = True

    def version(self):
        return run([find("hts"), "--version"]).splitlines()[0]

    def start(self, world):
        server = world.start("server", "hts", [
            find("hts"), "-w", "-F", world.target_address, PEER_PORT])
        wait_listening(world.server_side, server, PEER_PORT)
        client = world.start("client", "htc", [
            find("htc"), "-w", "-F", ENTRY_PORT,
            "%s:%d" % (world.server_address, PEER_PORT)])
        wait_listening(world.client_side, client, ENTRY_PORT)
        return ENTRY


def contenders():
    return [
        Raw("raw", "raw TCP"),
        Stunnel("stunnel", "stunnel"),
        Ssh("ssh", "ssh -L"),
        V2ray("v2ray", "v2ray WebSocket"),
        Httptunnel("httptunnel", "httptunnel"),
    ]
