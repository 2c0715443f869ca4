#include "config.h"

#include "server/servers.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/nrpc.h"

struct servers {
	struct server *list;
	size_t count;
};

struct servers *servers_new(void)
{
	return calloc(1, sizeof(struct servers));
}

void servers_free(struct servers *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->list[i].name);
		free(s->list[i].addresses);
	}
	free(s->list);
	free(s);
}

int servers_add(struct servers *s, const char *name, struct server **out)
{
	size_t len = strlen(name);
	struct server *list;
	char *copy;

	if (!nrpc_name_valid(name, len))
		return ERR_CONFIG;
	if (servers_find(s, name, len) != NULL)
		return ERR_EXIST;
	copy = strdup(name);
	if (copy == NULL)
		return ERR_NOMEM;
	list = reallocarray(s->list, s->count + 1, sizeof(*list));
	if (list == NULL) {
		free(copy);
		return ERR_NOMEM;
	}
	s->list = list;
	list[s->count] = (struct server){
		.name = copy,
		.connect_ms = SERVERS_CONNECT_MS,
	};
	*out = &list[s->count++];
	return 0;
}

int servers_add_address(struct server *server, const struct net_host *host)
{
	struct net_host *list;

	list = reallocarray(server->addresses, server->address_count + 1,
	    sizeof(*list));
	if (list == NULL)
		return ERR_NOMEM;
	server->addresses = list;
	list[server->address_count++] = *host;
	return 0;
}

struct server *servers_find(const struct servers *s, const void *name,
    size_t name_len)
{
	for (size_t i = 0; i < s->count; i++)
		if (nrpc_name_equal(s->list[i].name, strlen(s->list[i].name),
		    name, name_len))
			return &s->list[i];
	return NULL;
}

size_t servers_count(const struct servers *s)
{
	return s->count;
}

const struct server *servers_at(const struct servers *s, size_t i)
{
	return &s->list[i];
}
