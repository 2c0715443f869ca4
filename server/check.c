#include "config.h"

#include "server/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/keyfile.h"
#include "server/endpoint_tls.h"
#include "server/privilege.h"
#include "server/registry.h"

static int complain(const char *why)
{
	fprintf(stderr, "nrpc-gateway: %s\n", why);
	return EXIT_FAILURE;
}

static int check_certificate(const struct settings *s)
{
	char why[ENDPOINT_TLS_WHY_MAX];
	struct endpoint_tls *tls;

	if (s->tls_key == NULL)
		return 0;
	if (endpoint_tls_new(&tls, s->tls_certificate, s->tls_key, why) != 0)
		return complain(why);
	endpoint_tls_free(tls);
	return 0;
}

/* A registry that is not there yet is no mistake: run makes it. */
static int check_registry(const struct settings *s, size_t *active,
    size_t *revoked)
{
	char why[REGISTRY_WHY_MAX];
	struct registry *r;
	struct devices *list;
	int rc = registry_open(&r, s->registry, false, why);

	if (rc == ERR_NOENT)
		return 0;
	if (rc != 0)
		return complain(why);
	rc = registry_load(r, &list, why);
	registry_close(r);
	if (rc != 0)
		return complain(why);
	for (size_t i = 0; i < devices_count(list); i++)
		(*(devices_at(list, i)->revoked ? revoked : active))++;
	devices_free(list);
	return 0;
}

static void print_listens(const struct settings *s)
{
	for (size_t i = 0; i < s->listen_count; i++) {
		const struct settings_listen *l = &s->listens[i];
		char text[NET_TEXT_MAX];

		switch (l->kind) {
		case LISTEN_SYSTEMD:
			printf("listen: systemd\n");
			break;
		case LISTEN_UNIX:
			printf("listen: unix:%s mode %04o\n", l->path,
			    s->unix_mode);
			break;
		case LISTEN_TCP:
			printf("listen: %s %s\n", net_text(
			    (const struct sockaddr *)&l->address, text,
			    sizeof(text)), s->tls_key != NULL ? "https" :
			    "http");
			break;
		}
	}
}

static void print_servers(const struct settings *s)
{
	for (size_t i = 0; i < servers_count(s->servers); i++) {
		const struct server *server = servers_at(s->servers, i);
		bool is_default = s->default_server != NULL &&
		    servers_find(s->servers, s->default_server,
		    strlen(s->default_server)) == server;

		printf("server: %s%s", server->name,
		    is_default ? " (default)" : "");
		for (size_t j = 0; j < server->address_count; j++)
			printf(" %s:%u", server->addresses[j].host,
			    (unsigned)server->addresses[j].port);
		printf("\n");
	}
	if (servers_count(s->servers) == 0)
		printf("server: none listed, so that no stream goes "
		    "anywhere\n");
}

int check_run(const char *file, const struct settings *s)
{
	char why[KEYFILE_WHY_MAX], key[KEYFILE_TEXT_LEN + 1];
	char print[KEYFILE_FINGERPRINT_LEN + 1];
	struct noise_keys keys;
	size_t active = 0, revoked = 0;

	if (privilege_check(s->user, why) != 0 ||
	    keyfile_read(s->key_file, privilege_uid(s->user), &keys, why) != 0)
		return complain(why);
	crypto_wipe(keys.secret, sizeof(keys.secret));
	if (check_certificate(s) != 0)
		return EXIT_FAILURE;
	if (privilege_drop(s->user, why) != 0)
		return complain(why);
	if (check_registry(s, &active, &revoked) != 0)
		return EXIT_FAILURE;
	keyfile_encode(keys.pub, key);
	keyfile_fingerprint(keys.pub, print);
	printf("configuration ok\n"
	    "file: %s\n"
	    "public key: %s\n"
	    "fingerprint: %s\n", file, key, print);
	print_listens(s);
	printf("path: %s\n", s->path[0] == '\0' ? "/" : s->path);
	print_servers(s);
	printf("devices: %zu active, %zu revoked\n", active, revoked);
	return EXIT_SUCCESS;
}
