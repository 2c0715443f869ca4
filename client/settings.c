#include "config.h"

#include "client/settings.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client/setup.h"
#include "common/err.h"
#include "common/keyfile.h"
#include "common/net.h"
#include "common/nrpc.h"

/* The same shape for all numbers: only bounds and place differ. */
#define SETTER(name, parse, field, min, max)				\
static int name(void *ctx, const char *argument, const char *value,	\
    char why[CONF_WHY_MAX])						\
{									\
	struct setup *c = ctx;						\
	uint64_t n;							\
	int rc = parse(value, min, max, &n, why);			\
									\
	(void)argument;							\
	if (rc == 0)							\
		c->field = (__typeof__(c->field))n;			\
	return rc;							\
}

SETTER(set_connect_timeout, conf_duration, connect_timeout_ms, 100, 300000)
SETTER(set_hold, conf_duration, lanes.hold_ms, 1000, 600000)
SETTER(set_silence, conf_duration, lanes.silence_ms, 500, 600000)
SETTER(set_retry_max, conf_duration, lanes.retry_max_ms, 100, 600000)
SETTER(set_rekey, conf_duration, lanes.rekey_ms, 1000, 86400000)
SETTER(set_lanes, conf_uint, lanes.lanes, 2, SESSION_LANES)
SETTER(set_lanes_h2, conf_uint, lanes.lanes_h2, 2, SESSION_LANES)
SETTER(set_body_max, conf_size, lanes.body_max, 20000, 16777216)
SETTER(set_body_max_h2, conf_size, lanes.body_max_h2, 20000, 16777216)
SETTER(set_body_max_open, conf_size, lanes.body_max_open, 20000, 1073741824)
SETTER(set_max_streams, conf_uint, max_streams, 1, 100000)
SETTER(set_window_max, conf_size, lanes.session.window_max, 65536, 1073741824)
SETTER(set_window_pool, conf_size, lanes.session.window_pool, 0, 1073741824)
SETTER(set_send_max, conf_size, lanes.session.send_max, 65536, 1073741824)

static int complain(char why[CONF_WHY_MAX], const char *text)
{
	snprintf(why, CONF_WHY_MAX, "%s", text);
	return ERR_CONFIG;
}

/* Is the host of a plain URL this machine itself? */
static bool is_loopback_host(const struct net_host *host)
{
	struct sockaddr_storage addr;

	if (strcmp(host->host, "localhost") == 0)
		return true;
	return net_host_literal(host, &addr) == 0 &&
	    net_is_loopback((const struct sockaddr *)&addr);
}

/* HOST[:PORT] of a URL, the part between the scheme and the path. */
static int check_authority(const struct setup *c, const char *text,
    size_t len, bool plain, char why[CONF_WHY_MAX])
{
	char authority[NET_TEXT_MAX], phrase[CONF_WHY_MAX];
	struct net_host host;

	if (len == 0 || len >= sizeof(authority))
		return complain(why, "the URL has no host, or one that is too "
		    "long; write https://HOST/nrpc");
	if (memchr(text, '@', len) != NULL)
		return complain(why, "the URL must not hold a user or "
		    "password; the device is known by its key");
	memcpy(authority, text, len);
	authority[len] = '\0';
	if (net_host_parse(authority, plain ? 80 : 443, false, &host, phrase,
	    sizeof(phrase)) != 0) {
		snprintf(why, CONF_WHY_MAX, "host and port of the URL: %.400s",
		    phrase);
		return ERR_CONFIG;
	}
	if (plain && !(c->permit_plain && is_loopback_host(&host)))
		return complain(why, "the URL must begin with https://; plain "
		    "http is for a host on loopback only, with "
		    "allow_plain = yes");
	return 0;
}

static int set_url(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;
	const char *rest;
	size_t len;
	bool plain;
	int rc;

	(void)argument;
	plain = strncmp(value, "http://", 7) == 0;
	if (!plain && strncmp(value, "https://", 8) != 0)
		return complain(why, "the URL must begin with https://");
	for (const char *p = value; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p) || *p == '?' || *p == '#')
			return complain(why, "the URL must not hold blanks, "
			    "'?' or '#'; write https://HOST/nrpc");
	rest = value + (plain ? 7 : 8);
	rc = check_authority(c, rest, strcspn(rest, "/"), plain, why);
	if (rc != 0)
		return rc;
	rc = conf_string(value, &c->url);
	if (rc != 0)
		return complain(why, "out of memory");
	len = strlen(c->url);
	while (c->url[len - 1] == '/')
		c->url[--len] = '\0';
	return 0;
}

static int set_allow_plain(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	return conf_bool(value, &c->allow_plain, why);
}

static int set_gateway_key(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	static const uint8_t nothing[sizeof(((struct setup *)0)->gateway_key)];
	struct setup *c = ctx;

	(void)argument;
	if (keyfile_decode(value, strlen(value), c->gateway_key) != 0)
		return complain(why, "is not a public key: 44 characters of "
		    "base64, as `nrpc-gateway keygen` prints it");
	if (memcmp(c->gateway_key, nothing, sizeof(nothing)) == 0)
		return complain(why, "is the example's placeholder; put in the "
		    "key that `nrpc-gateway check` shows on the gateway");
	c->has_gateway_key = true;
	return 0;
}

static int set_ca_file(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;
	FILE *f = fopen(value, "r");

	(void)argument;
	if (f == NULL) {
		snprintf(why, CONF_WHY_MAX, "cannot read '%.300s': %m; name a "
		    "file with CA certificates in PEM form", value);
		return ERR_CONFIG;
	}
	fclose(f);
	return conf_string(value, &c->ca_file);
}

static int set_http(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	if (strcmp(value, "auto") == 0)
		c->http = SETUP_HTTP_AUTO;
	else if (strcmp(value, "1.1") == 0)
		c->http = SETUP_HTTP_1;
	else if (strcmp(value, "2") == 0)
		c->http = SETUP_HTTP_2;
	else
		return complain(why, "must be auto, 1.1 or 2");
	return 0;
}

static int set_duplex(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;
	struct lanes_config usual;

	(void)argument;
	lanes_defaults(&usual);
	if (strcmp(value, "auto") == 0)
		c->lanes.duplex_after = usual.duplex_after;
	else if (strcmp(value, "off") == 0)
		c->lanes.duplex_after = 0;
	else
		return complain(why, "must be auto or off");
	return 0;
}

static int set_proxy(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	if (value[0] == '\0')
		return complain(why, "must be a proxy such as "
		    "http://proxy.example:3128, or none");
	return conf_string(strcmp(value, "none") == 0 ? "" : value,
	    &c->proxy);
}

static int set_key_file(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	if (value[0] == '\0')
		return complain(why, "must name a file");
	return conf_string(value, &c->key_file);
}

static int set_listen_server(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;
	struct setup_listen *l;

	/* settings_section has just added the listener of this section. */
	if (argument == NULL || c->listen_count == 0)
		return complain(why, "belongs into a section such as "
		    "[listen " SETUP_LISTEN_DEFAULT "]");
	l = &c->listens[c->listen_count - 1];
	if (strcmp(value, "auto") == 0) {
		free(l->server);
		l->server = NULL;
		return 0;
	}
	if (!nrpc_name_valid(value, strlen(value)))
		return complain(why, "must be auto or a server's canonical "
		    "name such as CN=Mail1/O=Acme");
	return conf_string(value, &l->server);
}

static int set_log_level(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	if (log_level_parse(value, &c->log_level) != 0)
		return complain(why, "must be error, warn, info or debug");
	return 0;
}

static int set_status_socket(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	if (value[0] == '\0' || strlen(value) > 100)
		return complain(why, "must be a path of at most 100 "
		    "characters");
	c->status_socket_given = true;
	return conf_string(value, &c->status_socket);
}

static int set_allow_remote(void *ctx, const char *argument,
    const char *value, char why[CONF_WHY_MAX])
{
	struct setup *c = ctx;

	(void)argument;
	return conf_bool(value, &c->allow_remote, why);
}

/* ADDRESS[=SERVER]: a whole [listen] section in one line. */
static int set_listen(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	size_t len = strcspn(value, "=");
	const char *server = value[len] == '=' ? value + len + 1 : NULL;

	(void)argument;
	return setup_add_listen(ctx, value, len, server, why);
}

int settings_section(void *ctx, const char *section, const char *argument,
    char why[CONF_WHY_MAX])
{
	if (strcmp(section, "listen") != 0)
		return 0;
	if (argument == NULL)
		return complain(why, "[listen] needs an address: [listen "
		    SETUP_LISTEN_DEFAULT "]");
	return setup_add_listen(ctx, argument, strlen(argument), NULL, why);
}

#define ONE(section, key, set, meta, help) \
	{ section, key, false, false, set, help, meta }

const struct conf_setting settings_table[] = {
	ONE("gateway", "url", set_url, "URL",
	    "the gateway's address, https://HOST[:PORT]/nrpc"),
	ONE("gateway", "key", set_gateway_key, "BASE64",
	    "the gateway's public key"),
	ONE("gateway", "ca_file", set_ca_file, "FILE",
	    "trust only the CAs in this PEM file\n"
	    "(default: the system's)"),
	ONE("gateway", "http", set_http, "VERSION",
	    "auto, 1.1 or 2 (default: auto)"),
	ONE("gateway", "proxy", set_proxy, "URL",
	    "HTTP proxy, or none\n"
	    "(default: from the environment)"),
	ONE("gateway", "connect_timeout", set_connect_timeout, "TIME",
	    "give up a connection attempt after this\n"
	    "(default: 10s)"),
	ONE("gateway", "allow_plain", set_allow_plain, NULL,
	    "accept an http:// URL of a host on loopback"),
	ONE("device", "key_file", set_key_file, "FILE",
	    "this device's secret key, made by keygen\n"
	    "(default: ~/.config/nrpc-tunnel/device.key)"),
	{ "listen", "server", true, false, set_listen_server,
	    "auto, or the canonical name of one Domino server", "NAME" },
	{ "client", "listen", false, true, set_listen,
	    "where Notes connects, and optionally the one\n"
	    "server that is behind it; repeatable\n"
	    "(default: 127.0.0.1:1352)",
	    "ADDRESS[=SERVER]" },
	ONE("client", "allow_remote", set_allow_remote, NULL,
	    "accept listen addresses that others can reach"),
	ONE("client", "log_level", set_log_level, "LEVEL",
	    "error, warn, info or debug (default: info)"),
	ONE("client", "status_socket", set_status_socket, "PATH",
	    "where the status verb asks (default:\n"
	    "$XDG_RUNTIME_DIR/nrpc-tunnel.sock, else\n"
	    "~/.cache/nrpc-tunnel.sock)"),
	ONE("client", "max_streams", set_max_streams, "COUNT",
	    "Notes connections at once (default: 512)"),
	ONE("client", "hold", set_hold, "TIME",
	    "no request is held for longer; what the path\n"
	    "allows is learned (default: 45s)"),
	ONE("client", "silence", set_silence, "TIME",
	    "give a request up after this beyond the hold\n"
	    "(default: 10s)"),
	ONE("client", "retry_max", set_retry_max, "TIME",
	    "longest wait between two attempts\n"
	    "(default: 1500ms)"),
	ONE("client", "rekey", set_rekey, "TIME",
	    "fresh keys at least this often (default: 1h)"),
	ONE("client", "lanes", set_lanes, "COUNT",
	    "requests at once on HTTP/1.1 (default: 24)"),
	ONE("client", "lanes_h2", set_lanes_h2, "COUNT",
	    "requests at once on HTTP/2 (default: 96)"),
	ONE("client", "duplex", set_duplex, "WHETHER",
	    "auto or off: keep requests and responses open\n"
	    "where the path hands them on at once\n"
	    "(default: auto)"),
	ONE("client", "body_max", set_body_max, "SIZE",
	    "largest body on HTTP/1.1 (default: 960k)"),
	ONE("client", "body_max_h2", set_body_max_h2, "SIZE",
	    "largest body on HTTP/2, within what the\n"
	    "gateway says (default: 960k)"),
	ONE("client", "body_max_open", set_body_max_open, "SIZE",
	    "largest body of a request that stays open,\n"
	    "within what the gateway says (default: 16M)"),
	ONE("client", "window_max", set_window_max, "SIZE",
	    "bytes under way per connection (default: 8M)"),
	ONE("client", "window_pool", set_window_pool, "SIZE",
	    "bytes under way in all, beyond the first 64k\n"
	    "of each connection (default: 8M)"),
	ONE("client", "send_max", set_send_max, "SIZE",
	    "bytes kept for sending in all (default: 12M)"),
	{ NULL, NULL, false, false, NULL, NULL, NULL }
};
