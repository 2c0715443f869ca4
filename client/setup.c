#include "config.h"

#include "client/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/options.h"
#include "client/settings.h"
#include "common/err.h"
#include "common/net.h"
#include "common/nrpc.h"

#define SYSTEM_CONFIG "/etc/nrpc-tunnel/nrpc-tunnel.conf"

/* $variable/rest, or $HOME/otherwise/rest; NULL when neither is set. */
static char *home_path(const char *variable, const char *otherwise,
    const char *rest)
{
	const char *dir = getenv(variable);
	const char *home = getenv("HOME");
	char path[4096];
	int n;

	if (dir != NULL && dir[0] == '/')
		n = snprintf(path, sizeof(path), "%s/%s", dir, rest);
	else if (otherwise != NULL && home != NULL && home[0] == '/')
		n = snprintf(path, sizeof(path), "%s/%s/%s", home, otherwise,
		    rest);
	else
		return NULL;
	if (n < 0 || (size_t)n >= sizeof(path))
		return NULL;
	return strdup(path);
}

void setup_make_folders(const char *file)
{
	char *path = strdup(file);

	/* If this fails, creating the file fails, and that is told. */
	for (char *p = path; p != NULL && *p != '\0'; p++) {
		if (*p != '/' || p == path)
			continue;
		*p = '\0';
		(void)mkdir(path, 0700);
		*p = '/';
	}
	free(path);
}

static char *default_status_socket(void)
{
	char *path = home_path("XDG_RUNTIME_DIR", NULL, "nrpc-tunnel.sock");

	if (path == NULL)
		path = home_path("XDG_CACHE_HOME", ".cache",
		    "nrpc-tunnel.sock");
	return path;
}

static char *default_config_path(void)
{
	char *path = home_path("XDG_CONFIG_HOME", ".config",
	    "nrpc-tunnel/nrpc-tunnel.conf");

	if (path != NULL && access(path, F_OK) == 0)
		return path;
	free(path);
	if (access(SYSTEM_CONFIG, F_OK) == 0)
		return strdup(SYSTEM_CONFIG);
	return NULL;
}

static void set_defaults(struct setup *c, bool plain, bool remote)
{
	memset(c, 0, sizeof(*c));
	c->permit_plain = plain;
	c->permit_remote = remote;
	c->connect_timeout_ms = 10000;
	c->log_level = LOG_INFO;
	lanes_defaults(&c->lanes);
	c->max_streams = c->lanes.session.max_streams;
	c->key_file = home_path("XDG_CONFIG_HOME", ".config",
	    "nrpc-tunnel/device.key");
	c->status_socket = default_status_socket();
}

static int read_all(struct setup *c, const char *path,
    const struct options *o, char why[CONF_WHY_MAX])
{
	const struct conf conf = { .settings = settings_table, .ctx = c };
	int rc = 0;

	if (path != NULL)
		rc = conf_read(&conf, path, settings_section, why);
	if (rc == 0)
		rc = options_apply(o, c, why);
	return rc;
}

int setup_load(struct setup *c, const struct options *o,
    char why[CONF_WHY_MAX])
{
	char *found = o->config_path == NULL ? default_config_path() : NULL;
	const char *path = o->config_path != NULL ? o->config_path : found;
	bool plain, remote;
	int rc;

	set_defaults(c, true, true);
	rc = read_all(c, path, o, why);
	if (rc == 0) {
		plain = c->allow_plain;
		remote = c->allow_remote;
		setup_free(c);
		set_defaults(c, plain, remote);
		rc = read_all(c, path, o, why);
	}
	free(found);
	return rc;
}

void setup_clear_listens(struct setup *c)
{
	for (unsigned i = 0; i < c->listen_count; i++) {
		free(c->listens[i].address);
		free(c->listens[i].server);
	}
	c->listen_count = 0;
}

void setup_free(struct setup *c)
{
	setup_clear_listens(c);
	free(c->url);
	free(c->ca_file);
	free(c->proxy);
	free(c->key_file);
	free(c->status_socket);
	memset(c, 0, sizeof(*c));
}

int setup_complete(struct setup *c, char why[CONF_WHY_MAX])
{
	if (c->url == NULL) {
		snprintf(why, CONF_WHY_MAX, "no gateway is configured: set "
		    "'url' in [gateway] of nrpc-tunnel.conf, or give --url "
		    "https://HOST/nrpc");
		return ERR_CONFIG;
	}
	if (!c->has_gateway_key) {
		snprintf(why, CONF_WHY_MAX, "the gateway's public key is not "
		    "configured: set 'key' in [gateway] of nrpc-tunnel.conf, "
		    "or give --gateway-key; the gateway's administrator "
		    "knows it");
		return ERR_CONFIG;
	}
	if (c->key_file == NULL) {
		snprintf(why, CONF_WHY_MAX, "no key file is configured and "
		    "HOME is not set: set 'key_file' in [device] of "
		    "nrpc-tunnel.conf, or give --key-file");
		return ERR_CONFIG;
	}
	if (c->listen_count > 0)
		return 0;
	return setup_add_listen(c, SETUP_LISTEN_DEFAULT,
	    strlen(SETUP_LISTEN_DEFAULT), NULL, why);
}

/* Could both not be bound at the same time? Port 0 never collides. */
static bool same_address(const struct sockaddr_storage *a,
    const struct sockaddr_storage *b)
{
	char x[NET_TEXT_MAX], y[NET_TEXT_MAX];
	size_t len;

	net_text((const struct sockaddr *)a, x, sizeof(x));
	net_text((const struct sockaddr *)b, y, sizeof(y));
	len = strlen(x);
	return strcmp(x, y) == 0 &&
	    !(len > 2 && strcmp(x + len - 2, ":0") == 0);
}

static int parse_address(const struct setup *c, const char *text,
    struct sockaddr_storage *out, char why[CONF_WHY_MAX])
{
	struct net_host host;
	int rc;

	rc = net_host_parse(text, NRPC_PORT, true, &host, why, CONF_WHY_MAX);
	if (rc != 0)
		return ERR_CONFIG;
	if (net_host_literal(&host, out) != 0) {
		snprintf(why, CONF_WHY_MAX, "'%.100s' is not an IP address; "
		    "write one such as " SETUP_LISTEN_DEFAULT, text);
		return ERR_CONFIG;
	}
	if (!c->permit_remote &&
	    !net_is_loopback((const struct sockaddr *)out)) {
		snprintf(why, CONF_WHY_MAX, "listening on '%.100s' lets other "
		    "machines use this tunnel as this device; take a loopback "
		    "address, or set allow_remote = yes in [client]", text);
		return ERR_CONFIG;
	}
	for (unsigned i = 0; i < c->listen_count; i++) {
		if (!same_address(&c->listens[i].addr, out))
			continue;
		snprintf(why, CONF_WHY_MAX, "the address %.100s is given "
		    "twice; each listener needs its own", text);
		return ERR_CONFIG;
	}
	return 0;
}

int setup_add_listen(struct setup *c, const char *address, size_t len,
    const char *server, char why[CONF_WHY_MAX])
{
	struct setup_listen *l = &c->listens[c->listen_count];
	char *text;
	int rc;

	if (c->listen_count == SETUP_LISTEN_MAX) {
		snprintf(why, CONF_WHY_MAX, "there are more than %u listeners",
		    SETUP_LISTEN_MAX);
		return ERR_CONFIG;
	}
	if (server != NULL && strcmp(server, "auto") == 0)
		server = NULL;
	if (server != NULL && !nrpc_name_valid(server, strlen(server))) {
		snprintf(why, CONF_WHY_MAX, "'%.100s' is not a server's "
		    "canonical name; write 'auto' or one such as "
		    "CN=Mail1/O=Acme", server);
		return ERR_CONFIG;
	}
	text = strndup(address, len);
	if (text == NULL)
		return ERR_NOMEM;
	rc = parse_address(c, text, &l->addr, why);
	if (rc != 0) {
		free(text);
		return rc;
	}
	l->address = text;
	l->server = server != NULL ? strdup(server) : NULL;
	c->listen_count++;
	return 0;
}
