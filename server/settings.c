#include "config.h"

#include "server/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/nrpc.h"

static int set_strings(struct settings *s)
{
	int rc;

	rc = conf_string("/nrpc", &s->path);
	if (rc == 0)
		rc = conf_string("/var/lib/nrpc-gateway/gateway.key",
		    &s->key_file);
	if (rc == 0)
		rc = conf_string("/var/lib/nrpc-gateway/registry.db",
		    &s->registry);
	return rc;
}

static int set_default_listen(struct settings *s)
{
	struct net_host host;
	char why[CONF_WHY_MAX];

	s->listens = calloc(1, sizeof(*s->listens));
	if (s->listens == NULL)
		return ERR_NOMEM;
	s->listen_count = 1;
	if (net_host_parse("127.0.0.1:8352", 0, false, &host, why,
	    sizeof(why)) != 0)
		return ERR_CONFIG;
	return net_host_literal(&host, &s->listens[0].address);
}

/* A web server on the same machine; a unix socket needs no name. */
static int set_default_proxies(struct settings *s)
{
	char why[NETWORKS_WHY_MAX];
	int rc = networks_add(&s->proxies, "127.0.0.0/8", why);

	return rc == 0 ? networks_add(&s->proxies, "::1", why) : rc;
}

static int new_with_defaults(struct settings **out)
{
	struct settings *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return ERR_NOMEM;
	gate_defaults(&s->gate);
	s->unix_mode = 0660;
	s->log_level = LOG_INFO;
	sources_defaults(&s->sources);
	s->request_ms = 30000;
	s->max_connections = 8192;
	s->max_device_streams = 1024;
	s->max_gateway_streams = 16384;
	s->first_bytes_ms = 60000;
	s->drain_ms = 10000;
	s->upgrade_ms = 10000;
	s->servers = servers_new();
	rc = s->servers == NULL ? ERR_NOMEM : set_strings(s);
	if (rc == 0)
		rc = set_default_listen(s);
	if (rc == 0)
		rc = set_default_proxies(s);
	if (rc != 0) {
		settings_free(s);
		return rc;
	}
	s->source = FROM_FILE;
	*out = s;
	return 0;
}

void settings_free(struct settings *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->listen_count; i++)
		free(s->listens[i].path);
	free(s->listens);
	free(s->path);
	free(s->key_file);
	free(s->registry);
	free(s->tls_certificate);
	free(s->tls_key);
	free(s->default_server);
	free(s->user);
	servers_free(s->servers);
	free(s);
}

/* A section begins: note the server, and refuse names that cannot be one. */
static int on_section(void *ctx, const char *section, const char *argument,
    char why[CONF_WHY_MAX])
{
	struct settings *s = ctx;
	int rc;

	if (strcmp(section, "server") != 0)
		return 0;
	rc = servers_add(s->servers, argument, &s->section);
	if (rc == ERR_CONFIG)
		snprintf(why, CONF_WHY_MAX, "'%.255s' is no canonical server "
		    "name; write it in full, as in [server CN=Mail1/O=Acme]",
		    argument);
	else if (rc == ERR_EXIST)
		snprintf(why, CONF_WHY_MAX, "server '%.255s' has a section "
		    "already; put all its addresses there", argument);
	else if (rc != 0)
		snprintf(why, CONF_WHY_MAX, "no memory");
	return rc == 0 ? 0 : ERR_CONFIG;
}

static int check_servers(const struct settings *s, const char *file,
    char why[CONF_WHY_MAX])
{
	size_t count = servers_count(s->servers);

	for (size_t i = 0; i < count; i++) {
		const struct server *server = servers_at(s->servers, i);

		if (server->address_count > 0)
			continue;
		snprintf(why, CONF_WHY_MAX, "%s: [server %s] has no address; "
		    "add a line 'address = HOST[:PORT]'", file, server->name);
		return ERR_CONFIG;
	}
	if (s->default_server == NULL || servers_find(s->servers,
	    s->default_server, strlen(s->default_server)) != NULL)
		return 0;
	snprintf(why, CONF_WHY_MAX, "%s: default_server '%s' is not listed; "
	    "add a section [server %s] with its address", file,
	    s->default_server, s->default_server);
	return ERR_CONFIG;
}

static int check_whole(const struct settings *s, const char *file,
    char why[CONF_WHY_MAX])
{
	if ((s->tls_certificate == NULL) != (s->tls_key == NULL)) {
		snprintf(why, CONF_WHY_MAX, "%s: %s is set but %s is not; set "
		    "both to serve HTTPS, or neither behind a web server",
		    file, s->tls_key == NULL ? "tls_certificate" : "tls_key",
		    s->tls_key == NULL ? "tls_key" : "tls_certificate");
		return ERR_CONFIG;
	}
	if (s->gate.response_first > s->gate.response_max) {
		snprintf(why, CONF_WHY_MAX, "%s: response_first is above "
		    "response_max; lower the one or raise the other", file);
		return ERR_CONFIG;
	}
	if (s->gate.max_device_memory > s->gate.max_memory) {
		snprintf(why, CONF_WHY_MAX, "%s: max_device_memory is above "
		    "max_memory; lower the one or raise the other", file);
		return ERR_CONFIG;
	}
	return check_servers(s, file, why);
}

static int apply_options(const struct conf *conf, struct settings *s,
    const struct settings_option *options, size_t count,
    char why[CONF_WHY_MAX])
{
	int rc = 0;

	s->source = FROM_OPTIONS;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = conf_option(conf, "gateway", options[i].key,
		    options[i].value, why);
	return rc;
}

int settings_load(struct settings **out, const char *file,
    const struct settings_option *options, size_t option_count,
    char why[CONF_WHY_MAX])
{
	struct settings *s;
	struct conf conf = { .settings = settings_table };
	int rc = new_with_defaults(&s);

	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX, "%s: no memory", file);
		return rc;
	}
	conf.ctx = s;
	rc = conf_read(&conf, file, on_section, why);
	if (rc == 0)
		rc = apply_options(&conf, s, options, option_count, why);
	if (rc == 0)
		rc = check_whole(s, file, why);
	if (rc != 0) {
		settings_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

int settings_parse(struct settings **out, const char *name, const char *text,
    size_t len, char why[CONF_WHY_MAX])
{
	struct settings *s;
	struct conf conf = { .settings = settings_table };
	int rc = new_with_defaults(&s);

	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX, "%s: no memory", name);
		return rc;
	}
	conf.ctx = s;
	rc = conf_parse(&conf, name, text, len, on_section, why);
	if (rc == 0)
		rc = check_whole(s, name, why);
	if (rc != 0) {
		settings_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static bool same_listen(const struct settings_listen *a,
    const struct settings_listen *b)
{
	char text_a[NET_TEXT_MAX], text_b[NET_TEXT_MAX];

	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case LISTEN_SYSTEMD:
		return true;
	case LISTEN_UNIX:
		return strcmp(a->path, b->path) == 0;
	case LISTEN_TCP:
		break;
	}
	net_text((const struct sockaddr *)&a->address, text_a, sizeof(text_a));
	net_text((const struct sockaddr *)&b->address, text_b, sizeof(text_b));
	return strcmp(text_a, text_b) == 0;
}

bool settings_same_listens(const struct settings *a, const struct settings *b)
{
	if (a->listen_count != b->listen_count ||
	    a->unix_mode != b->unix_mode)
		return false;
	for (size_t i = 0; i < a->listen_count; i++)
		if (!same_listen(&a->listens[i], &b->listens[i]))
			return false;
	return true;
}
