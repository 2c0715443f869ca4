"""
nginx in front of the gateway: certificates, a configuration with its default
proxy settings, and starting it.
"""

import time

from gateway import WithGateway
from process import Process, tool

NGINX_CONF = """
%(user)s
daemon off;
worker_processes 2;
error_log stderr warn;
pid nginx.pid;
events { worker_connections 4096; }
http {
    log_format te '$request $status te=$http_transfer_encoding';
    access_log access.log te;
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
            %(location)s
        }
    }
}
"""


class Nginx(Process):
    """nginx with its default proxy settings in front of the gateway."""

    def __init__(self, directory, address, port, within=()):
        self.port = port
        self.directory = directory
        super().__init__("nginx", [
            *within, tool("nginx"), "-p", str(directory), "-c", "nginx.conf",
            "-e", "stderr"], directory)
        self.wait_listening(address, port)

    def requests(self):
        """The lines of the access log so far."""
        path = self.directory / "access.log"
        return path.read_text().splitlines() if path.exists() else []


class WithNginx(WithGateway):
    """A web server that passes everything on to the gateway."""

    nginx_location = ""     # more lines of its configuration

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
            "location": self.nginx_location,
            "upstream": upstream or "unix:%s:" % (
                self.gateway_dir / "http.sock"),
        })
        return at

    def nginx(self):
        at = self.directory / "nginx"
        return self._keep(Nginx(at, self.web_address, self.nginx_port,
                                self.within("nginx")))
