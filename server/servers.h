/*
 * The closed list of Domino servers that this gateway serves: what the
 * configuration's [server ...] sections say. Nothing outside it is ever
 * connected to. Knows no sockets and resolves nothing.
 */
#ifndef SERVER_SERVERS_H
#define SERVER_SERVERS_H

#include <stddef.h>
#include <stdint.h>

#include "common/net.h"

#define SERVERS_CONNECT_MS 5000u	/* default of connect_timeout */

struct server {
	char *name;			/* "CN=Mail1/O=Acme", as configured */
	struct net_host *addresses;	/* in the order they are tried */
	size_t address_count;
	uint64_t connect_ms;		/* for all addresses together */
};

struct servers;

/* An empty list, or NULL without memory. */
struct servers *servers_new(void);
void servers_free(struct servers *s);

/*
 * Add a server without addresses. The list owns it; the pointer is good until
 * the next servers_add. ERR_EXIST when the name is there already, in
 * whatever case; ERR_CONFIG when it is no canonical name; ERR_NOMEM.
 */
int servers_add(struct servers *s, const char *name, struct server **out);

/* Append an address. 0 or ERR_NOMEM. */
int servers_add_address(struct server *server, const struct net_host *host);

/* Find by canonical name, without regard to case; NULL: not listed. */
struct server *servers_find(const struct servers *s, const void *name,
    size_t name_len);

size_t servers_count(const struct servers *s);
const struct server *servers_at(const struct servers *s, size_t i);

#endif
