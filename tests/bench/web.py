"""
The certificate authority of one bench, the nginx that all contenders over HTTP
go through, and other web servers for the tunnel alone.
"""

import pathlib
import re
import shutil
import sys

from proc import Failure, run, wait_until

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "system"))

import webservers  # noqa: E402

SNIPPET = webservers.PACKAGING / "nginx" / "nrpc-gateway.conf"
NGINX_PORT = 443

# What Debian's nginx.conf has, as far as it can be of any weight here.
CONF = """
user nobody nogroup;
daemon off;
worker_processes auto;
error_log stderr warn;
pid nginx.pid;
events { worker_connections 4096; }
http {
    sendfile on;
    tcp_nopush on;
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    ssl_protocols TLSv1.3;
%(http)s
    server {
        listen %(address)s:%(port)d ssl http2;
        ssl_certificate %(ca)s/server.crt;
        ssl_certificate_key %(ca)s/server.key;
%(server)s
    }
}
"""



def find(program):
    """Where a program is; daemons are not in everybody's PATH."""
    path = shutil.which(program) or shutil.which(
        program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not path:
        raise Failure("%s is not installed" % program)
    return path


def certificates(at, addresses):
    """A CA in the new directory `at`, and a certificate for the addresses."""
    at.mkdir()
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes"]
    run(["openssl", "req", "-x509", *curve, "-days", "2", "-subj",
         "/CN=Bench CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
         "-keyout", at / "ca.key", "-out", at / "ca.crt"])
    (at / "san.cnf").write_text(
        "subjectAltName=%s\nauthorityKeyIdentifier=keyid\n"
        "subjectKeyIdentifier=hash\n"
        % ",".join("IP:" + a for a in addresses))
    run(["openssl", "req", *curve, "-subj", "/CN=bench", "-keyout",
         at / "server.key", "-out", at / "server.csr"])
    run(["openssl", "x509", "-req", "-in", at / "server.csr", "-CA",
         at / "ca.crt", "-CAkey", at / "ca.key", "-set_serial", "1", "-days",
         "2", "-extfile", at / "san.cnf", "-out", at / "server.crt"])
    return at


def shipped(upstream):
    """
    The two locations of packaging/nginx as (http, server) parts, so that what
    is measured is what is delivered: ("minimal", "tuned").
    """
    text = SNIPPET.read_text()
    minimal = re.search(r"^#location .*?^#}", text, re.M | re.S)
    tuned = re.search(r"^upstream .*?^}", text, re.M | re.S)
    location = re.search(r"^keepalive_requests .*?^}", text, re.M | re.S)
    if not (minimal and tuned and location):
        raise Failure("%s: its two locations are not found" % SNIPPET)
    plain = re.sub(r"^#", "", minimal.group(0), flags=re.M)
    return {
        "minimal": ("", plain.replace(webservers.UPSTREAM, upstream)),
        "tuned": (tuned.group(0).replace(webservers.UPSTREAM, upstream),
                  location.group(0)),
    }


def start_nginx(world, parts):
    """Start nginx in the world; parts: what goes into http and server."""
    conf = world.file("nginx.conf", CONF % {
        "address": world.server_address, "port": NGINX_PORT,
        "ca": world.bench.ca, "http": parts[0], "server": parts[1]})
    _start(world, "nginx", "-p", world.directory, "-c", conf, "-e", "stderr")


def start_haproxy(world, upstream):
    """The same with HAProxy, and what packaging/ has for it."""
    _start(world, *webservers.haproxy(world.directory, _address(world),
                                      world.bench.ca, upstream))


def start_apache(world, upstream):
    """The same with Apache."""
    _start(world, *webservers.apache(world.directory, _address(world),
                                     world.bench.ca, upstream, "h2 http/1.1",
                                     is_root=True))


def _address(world):
    return "%s:%d" % (world.server_address, NGINX_PORT)


def _start(world, name, *arguments):
    """As `nginx`, for whatever it is has that place in all tables."""
    p = world.start("nginx", name, [find(name), *arguments])
    wait_listening(world.server_side, p, NGINX_PORT)


def wait_listening(namespace, process, port, timeout=10):
    """Wait until the port is listened on, without connecting to it."""
    # Of any process in the namespace; local address is hex, state 0A listens.
    entry = re.compile(r"^\s*\d+: [0-9A-F]+:%04X [0-9A-F]+:0000 0A" % port,
                       re.M)
    table = namespace.path.replace("ns/net", "net/tcp")

    def listens():
        process.check_running()
        return any(entry.search(pathlib.Path(t).read_text())
                   for t in (table, table + "6"))
    wait_until(listens, lambda: "%s listens on port %d\n%s" % (
        process.name, port, process.tail()), timeout)
