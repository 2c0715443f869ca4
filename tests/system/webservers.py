"""
HAProxy and Apache, configured by what packaging/ has for them; for the system
tests and the bench.
"""

import pathlib

PACKAGING = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging"
UPSTREAM = "127.0.0.1:8352"     # in all files of packaging/

APACHE = """
ServerRoot %(directory)s
ServerName localhost
PidFile %(directory)s/apache.pid
Mutex file:%(directory)s
ErrorLog /dev/stderr
%(modules)s
%(user)s
Listen %(address)s
Protocols %(protocols)s
SSLEngine on
SSLCertificateFile %(ca)s/server.crt
SSLCertificateKeyFile %(ca)s/server.key
%(location)s
"""
APACHE_MODULES = ("mpm_event", "authz_core", "ssl", "http2", "proxy",
                  "proxy_http")


def adapt(text, *changes):
    for before, after in changes:
        if before not in text:
            raise ValueError("no %r in it" % before)
        text = text.replace(before, after)
    return text


def haproxy(directory, address, ca, upstream, http2=True, changes=()):
    """
    Write haproxy.cfg and what it needs into the directory; returns the command
    to start it by. address: HOST:PORT; ca: the directory of server.crt and
    server.key; changes: more pairs for adapt().
    """
    pem = directory / "site.pem"
    pem.write_text("".join((ca / name).read_text()
                           for name in ("server.crt", "server.key")))
    conf = directory / "haproxy.cfg"
    conf.write_text(adapt(
        (PACKAGING / "haproxy" / "nrpc-gateway.cfg").read_text(),
        ("bind :443", "bind " + address),
        ("/etc/haproxy/site.pem", str(pem)),
        ("h2,http/1.1", "h2,http/1.1" if http2 else "http/1.1"),
        (UPSTREAM, upstream), *changes))
    return "haproxy", "-db", "-f", conf


def apache(directory, address, ca, upstream, protocols, is_root):
    """The same for Apache; protocols: as in its configuration."""
    conf = directory / "apache.conf"
    conf.write_text(APACHE % {
        "directory": directory, "address": address, "ca": ca,
        "protocols": protocols,
        "user": "User nobody\nGroup nogroup" if is_root else "",
        "modules": "\n".join(
            "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so" % (m, m)
            for m in APACHE_MODULES),
        "location": adapt(
            (PACKAGING / "apache" / "nrpc-gateway.conf").read_text(),
            (UPSTREAM, upstream))})
    return "apache2", "-f", conf, "-DFOREGROUND"
