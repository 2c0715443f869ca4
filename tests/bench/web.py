"""
The certificate authority of one bench and the nginx that all contenders over
HTTP go through.
"""

import pathlib
import re
import shutil

from proc import Failure, run, wait_until

SNIPPET = pathlib.Path(__file__).resolve().parent.parent.parent \
    / "packaging" / "nginx" / "nrpc-gateway.conf"
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
        "minimal": ("", plain.replace("127.0.0.1:8352", upstream)),
        "tuned": (tuned.group(0).replace("127.0.0.1:8352", upstream),
                  location.group(0)),
    }


def start_nginx(world, parts):
    """Start nginx in the world; parts: what goes into http and server."""
    conf = world.file("nginx.conf", CONF % {
        "address": world.server_address, "port": NGINX_PORT,
        "ca": world.bench.ca, "http": parts[0], "server": parts[1]})
    nginx = world.start("nginx", "nginx", [
        find("nginx"), "-p", world.directory, "-c", conf, "-e", "stderr"])
    wait_listening(world.server_side, nginx, NGINX_PORT)
    return nginx


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
