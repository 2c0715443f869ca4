#include "config.h"

#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "common/bucket.h"
#include "common/err.h"
#include "common/nrpc.h"

#define MINUTE_MS 60000u
#define KIB 1024u
#define MIB (1024u * 1024u)

/* A setter that puts a value of some kind into one member. */
#define SETTER(name, parse) \
	static int name(void *ctx, const char *argument, const char *value, \
	    char why[CONF_WHY_MAX]) \
	{ \
		struct settings *s = ctx; \
		(void)argument; \
		return parse; \
	}

static int no_memory(char why[CONF_WHY_MAX])
{
	snprintf(why, CONF_WHY_MAX, "no memory");
	return ERR_CONFIG;
}

static int string(const char *value, char **out, char why[CONF_WHY_MAX])
{
	if (value[0] == '\0') {
		snprintf(why, CONF_WHY_MAX, "must not be empty");
		return ERR_CONFIG;
	}
	return conf_string(value, out) == 0 ? 0 : no_memory(why);
}

static int uint_of(const char *value, unsigned min, unsigned max,
    unsigned *out, char why[CONF_WHY_MAX])
{
	uint64_t n;
	int rc = conf_uint(value, min, max, &n, why);

	if (rc == 0)
		*out = (unsigned)n;
	return rc;
}

/* "unix:/path": the path, absolute and short enough for a sockaddr_un. */
static int unix_path(struct settings_listen *listen, const char *path,
    char why[CONF_WHY_MAX])
{
	listen->kind = LISTEN_UNIX;
	if (path[0] != '/' ||
	    strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(why, CONF_WHY_MAX, "'%.200s' must be an absolute path "
		    "of at most %zu characters, as in "
		    "unix:/run/nrpc-gateway/http.sock", path,
		    sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		return ERR_CONFIG;
	}
	return conf_string(path, &listen->path) == 0 ? 0 : no_memory(why);
}

static int tcp_address(struct settings_listen *listen, const char *value,
    char why[CONF_WHY_MAX])
{
	struct net_host host;
	int rc = net_host_parse(value, 0, true, &host, why, CONF_WHY_MAX);

	if (rc != 0)
		return rc;
	listen->kind = LISTEN_TCP;
	if (net_host_literal(&host, &listen->address) == 0)
		return 0;
	snprintf(why, CONF_WHY_MAX, "'%.200s' is a name; write the address, "
	    "as in 127.0.0.1:8352, [::1]:8352, unix:/path or systemd", value);
	return ERR_CONFIG;
}

/* The first address of the file or of the options replaces what was. */
static void forget_listens(struct settings *s)
{
	for (size_t i = 0; i < s->listen_count; i++)
		free(s->listens[i].path);
	s->listen_count = 0;
	s->listens_source = s->source;
}

static int set_listen(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;
	struct settings_listen listen = { 0 }, *list;
	int rc = 0;

	(void)argument;
	if (strcmp(value, "systemd") == 0)
		listen.kind = LISTEN_SYSTEMD;
	else if (strncmp(value, "unix:", 5) == 0)
		rc = unix_path(&listen, value + 5, why);
	else
		rc = tcp_address(&listen, value, why);
	if (rc != 0)
		return rc;
	if (s->listens_source != s->source)
		forget_listens(s);
	list = reallocarray(s->listens, s->listen_count + 1, sizeof(*list));
	if (list == NULL) {
		free(listen.path);
		return no_memory(why);
	}
	s->listens = list;
	list[s->listen_count++] = listen;
	return 0;
}

static int set_trusted_proxy(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;

	(void)argument;
	if (s->proxies_source != s->source)
		s->proxies.count = 0;
	s->proxies_source = s->source;
	if (strcmp(value, "none") == 0)
		return 0;
	return networks_add(&s->proxies, value, why) == 0 ? 0 : ERR_CONFIG;
}

static int set_unix_mode(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;
	unsigned mode = 0;

	(void)argument;
	for (const char *p = value; *p >= '0' && *p <= '7' && mode <= 0777; p++)
		mode = mode * 8 + (unsigned)(*p - '0');
	if (value[0] == '\0' || value[strspn(value, "01234567")] != '\0' ||
	    mode > 0777) {
		snprintf(why, CONF_WHY_MAX, "must be an octal mode up to 0777, "
		    "as in 0660");
		return ERR_CONFIG;
	}
	s->unix_mode = mode;
	return 0;
}

static int set_path(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789._~-/";
	struct settings *s = ctx;
	size_t len = strlen(value);

	(void)argument;
	while (len > 0 && value[len - 1] == '/')
		len--;
	if (value[0] != '/' || len > 200 ||
	    value[strspn(value, good)] != '\0') {
		snprintf(why, CONF_WHY_MAX, "must begin with '/' and hold only "
		    "letters, digits and . _ ~ - /, as in /nrpc");
		return ERR_CONFIG;
	}
	if (conf_string(value, &s->path) != 0)
		return no_memory(why);
	s->path[len] = '\0';
	return 0;
}

static int set_default_server(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;

	(void)argument;
	if (!nrpc_name_valid(value, strlen(value))) {
		snprintf(why, CONF_WHY_MAX, "'%.255s' is no canonical server "
		    "name; write it in full, as in CN=Mail1/O=Acme", value);
		return ERR_CONFIG;
	}
	return string(value, &s->default_server, why);
}

static int set_log_level(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;

	(void)argument;
	if (log_level_parse(value, &s->log_level) == 0)
		return 0;
	snprintf(why, CONF_WHY_MAX,
	    "must be error, warn, info or debug, not '%.100s'", value);
	return ERR_CONFIG;
}

SETTER(set_key_file, string(value, &s->key_file, why))
SETTER(set_registry, string(value, &s->registry, why))
SETTER(set_tls_certificate, string(value, &s->tls_certificate, why))
SETTER(set_tls_key, string(value, &s->tls_key, why))
SETTER(set_user, string(value, &s->user, why))
SETTER(set_linger, conf_duration(value, 10000, 1440 * MINUTE_MS,
    &s->gate.linger_ms, why))
SETTER(set_hold_max, conf_duration(value, 1000, 10 * MINUTE_MS,
    &s->gate.hold_max_ms, why))
SETTER(set_first_bytes, conf_duration(value, 1000, 60 * MINUTE_MS,
    &s->first_bytes_ms, why))
SETTER(set_drain, conf_duration(value, 0, 60 * MINUTE_MS, &s->drain_ms, why))
SETTER(set_upgrade, conf_duration(value, 1000, 10 * MINUTE_MS, &s->upgrade_ms,
    why))
SETTER(set_max_sessions, uint_of(value, 1, 1000000, &s->gate.max_sessions,
    why))
SETTER(set_max_device_sessions, uint_of(value, 1, 1000,
    &s->gate.max_device_sessions, why))
SETTER(set_max_connections, conf_uint(value, 4, 1000000, &s->max_connections,
    why))
SETTER(set_request_timeout, conf_duration(value, 1000, 10 * MINUTE_MS,
    &s->request_ms, why))
SETTER(set_max_strangers, conf_uint(value, 1, 1000000,
    &s->sources.max_strangers, why))
SETTER(set_hello_rate, conf_uint(value, 1, BUCKET_MAX, &s->sources.hello_rate,
    why))
SETTER(set_hello_burst, conf_uint(value, 1, BUCKET_MAX,
    &s->sources.hello_burst, why))
SETTER(set_hello_rate_all, conf_uint(value, 1, BUCKET_MAX / 2,
    &s->sources.hello_rate_all, why))
SETTER(set_max_device_streams, conf_uint(value, 1, 1000000,
    &s->max_device_streams, why))
SETTER(set_max_gateway_streams, conf_uint(value, 1, 1000000,
    &s->max_gateway_streams, why))
SETTER(set_max_device_memory, conf_size(value, 256 * KIB,
    UINT64_C(65536) * MIB, &s->gate.max_device_memory, why))
SETTER(set_max_memory, conf_size(value, 256 * KIB, UINT64_C(1048576) * MIB,
    &s->gate.max_memory, why))
SETTER(set_max_streams, conf_uint(value, 1, 65536,
    &s->gate.session.max_streams, why))
SETTER(set_window_max, conf_size(value, 64 * KIB, 256 * MIB,
    &s->gate.session.window_max, why))
SETTER(set_window_pool, conf_size(value, 64 * KIB, 1024 * MIB,
    &s->gate.session.window_pool, why))
SETTER(set_send_max, conf_size(value, 256 * KIB, 1024 * MIB,
    &s->gate.session.send_max, why))
SETTER(set_http2_window, conf_size(value, 64 * KIB, 64 * MIB,
    &s->gate.http2_window, why))
SETTER(set_request_max, conf_size(value, 64 * KIB, 64 * MIB,
    &s->gate.request_max, why))
SETTER(set_open_request_max, conf_size(value, 64 * KIB, 1024 * MIB,
    &s->gate.open_request_max, why))
SETTER(set_response_first, conf_size(value, 16 * KIB, 1024 * MIB,
    &s->gate.response_first, why))
SETTER(set_response_max, conf_size(value, 16 * KIB, UINT64_C(65536) * MIB,
    &s->gate.response_max, why))
SETTER(set_response_time, conf_duration(value, 1000, 60 * MINUTE_MS,
    &s->gate.response_ms, why))

static int set_address(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;
	struct net_host host;
	int rc = net_host_parse(value, NRPC_PORT, false, &host, why,
	    CONF_WHY_MAX);

	(void)argument;		/* the section that began last */
	if (rc != 0)
		return rc;
	if (servers_add_address(s->section, &host) != 0)
		return no_memory(why);
	return 0;
}

static int set_connect_timeout(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;

	(void)argument;
	return conf_duration(value, 100, MINUTE_MS, &s->section->connect_ms,
	    why);
}

#define GATEWAY(key, repeatable, set, meta, help) \
	{ "gateway", key, false, repeatable, set, help, meta }
#define SERVER(key, repeatable, set, meta, help) \
	{ "server", key, true, repeatable, set, help, meta }

const struct conf_setting settings_table[] = {
	GATEWAY("listen", true, set_listen, "ADDRESS",
	    "ADDRESS:PORT, unix:/path or systemd (127.0.0.1:8352)"),
	GATEWAY("unix_mode", false, set_unix_mode, "MODE",
	    "mode of unix sockets (0660)"),
	GATEWAY("path", false, set_path, "PATH",
	    "where the exchanges are, below the host (/nrpc)"),
	GATEWAY("key_file", false, set_key_file, "FILE",
	    "the gateway's secret key"),
	GATEWAY("registry", false, set_registry, "FILE",
	    "the devices, an SQLite file"),
	GATEWAY("tls_certificate", false, set_tls_certificate, "FILE",
	    "PEM chain: TCP listeners speak HTTPS"),
	GATEWAY("tls_key", false, set_tls_key, "FILE",
	    "PEM key of tls_certificate"),
	GATEWAY("default_server", false, set_default_server, "NAME",
	    "for Notes clients that name none"),
	GATEWAY("user", false, set_user, "USER",
	    "become this user when started as root"),
	GATEWAY("log_level", false, set_log_level, "LEVEL",
	    "error, warn, info or debug (info)"),
	GATEWAY("linger", false, set_linger, "TIME",
	    "keep a silent session this long (15min)"),
	GATEWAY("hold_max", false, set_hold_max, "TIME",
	    "hold no request for longer (45s)"),
	GATEWAY("first_bytes_timeout", false, set_first_bytes, "TIME",
	    "wait for a stream's first packet (60s)"),
	GATEWAY("drain_timeout", false, set_drain, "TIME",
	    "wait for streams to end on SIGTERM (10s)"),
	GATEWAY("upgrade_timeout", false, set_upgrade, "TIME",
	    "wait for the new program on SIGUSR2 (10s)"),
	GATEWAY("max_sessions", false, set_max_sessions, "N",
	    "sessions of all devices together (10000)"),
	GATEWAY("max_device_sessions", false, set_max_device_sessions, "N",
	    "sessions of one device (8)"),
	GATEWAY("max_connections", false, set_max_connections, "N",
	    "HTTP connections per listener (8192)"),
	GATEWAY("request_timeout", false, set_request_timeout, "TIME",
	    "a request has to arrive in this time (30s)"),
	GATEWAY("trusted_proxy", true, set_trusted_proxy, "NETWORK",
	    "whose X-Forwarded-For is believed (127.0.0.0/8, ::1)"),
	GATEWAY("max_strangers", false, set_max_strangers, "N",
	    "requests of one source from nobody known yet (128)"),
	GATEWAY("hello_rate", false, set_hello_rate, "N",
	    "hellos of one source, per second (50)"),
	GATEWAY("hello_burst", false, set_hello_burst, "N",
	    "and at once (500)"),
	GATEWAY("hello_rate_all", false, set_hello_rate_all, "N",
	    "hellos of all sources, per second (1000)"),
	GATEWAY("max_device_streams", false, set_max_device_streams, "N",
	    "streams of one device at once (1024)"),
	GATEWAY("max_gateway_streams", false, set_max_gateway_streams, "N",
	    "streams of all devices at once (16384)"),
	GATEWAY("max_device_memory", false, set_max_device_memory, "SIZE",
	    "bytes kept for one device (64M)"),
	GATEWAY("max_memory", false, set_max_memory, "SIZE",
	    "bytes kept for all devices (512M)"),
	GATEWAY("max_streams", false, set_max_streams, "N",
	    "streams of one session at once (512)"),
	GATEWAY("window_max", false, set_window_max, "SIZE",
	    "a stream's receive window grows to this (8M)"),
	GATEWAY("window_pool", false, set_window_pool, "SIZE",
	    "all windows beyond the first 64k of each (8M)"),
	GATEWAY("send_max", false, set_send_max, "SIZE",
	    "bytes kept for sending, per session (12M)"),
	GATEWAY("http2_window", false, set_http2_window, "SIZE",
	    "of a body, the web server's on HTTP/2 (64k)"),
	GATEWAY("request_max", false, set_request_max, "SIZE",
	    "bytes of one request (1M)"),
	GATEWAY("open_request_max", false, set_open_request_max, "SIZE",
	    "and of one that stays open, of a known device (16M)"),
	GATEWAY("response_first", false, set_response_first, "SIZE",
	    "a response's cap at first (4M)"),
	GATEWAY("response_max", false, set_response_max, "SIZE",
	    "and where the path streams (256M)"),
	GATEWAY("response_time", false, set_response_time, "TIME",
	    "a response lasts at most (30s)"),
	SERVER("address", true, set_address, "HOST[:PORT]",
	    "where it is; several are tried in order (port 1352)"),
	SERVER("connect_timeout", false, set_connect_timeout, "TIME",
	    "for all addresses together (5s)"),
	{ NULL, NULL, false, false, NULL, NULL, NULL },
};
