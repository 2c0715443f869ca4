/* The end of an endpoint whose listening sockets live on. */
#include "config.h"

#include "server/endpoint.h"

#include "common/net.h"
#include "server/endpoint_request.h"

#define FIRST_HEAD_MS 50u	/* in a new connection it is there by then */

void endpoint_quiesce(struct endpoint *e)
{
	struct listener *l;

	e->closing = true;
	LIST_FOREACH(l, &e->listeners, link) {
		uv_poll_stop(&l->poll);
		l->fd = -1;
	}
}

bool endpoint_is_idle(const struct endpoint *e)
{
	uint64_t now_ms = net_now_ms(e->loop);
	const struct connection *c;

	if (e->requests > 0)
		return false;
	/* A web server opens a connection because it has a request. */
	LIST_FOREACH(c, &e->sending, link)
		if (!c->used && now_ms - c->since_ms < FIRST_HEAD_MS)
			return false;
	return true;
}
