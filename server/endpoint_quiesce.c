/* The end of an endpoint whose listening sockets live on. */
#include "config.h"

#include "server/endpoint.h"

#include <microhttpd.h>

#include "server/endpoint_request.h"

void endpoint_quiesce(struct endpoint *e)
{
	struct listener *l;

	e->closing = true;
	LIST_FOREACH(l, &e->listeners, link)
		(void)MHD_quiesce_daemon(l->daemon);	/* returns its socket */
}

bool endpoint_is_idle(const struct endpoint *e)
{
	return e->requests == 0;
}
