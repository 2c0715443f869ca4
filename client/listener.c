#include "config.h"

#include "client/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/setup.h"
#include "common/err.h"
#include "common/log.h"
#include "common/net.h"

#define BACKLOG 1024	/* a full one costs a guest a second */

struct listener {
	const struct listener_ops *ops;
	void *ctx;
	char address[NET_TEXT_MAX];
	char *server;
	struct log_limit failures;
	uv_tcp_t tcp;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *l = stream->data;
	uv_tcp_t *tcp = NULL;
	unsigned suppressed;

	if (status == 0) {
		tcp = malloc(sizeof(*tcp));
		status = tcp != NULL ? uv_tcp_init(stream->loop, tcp) :
		    UV_ENOMEM;
	}
	if (status == 0) {
		status = uv_accept(stream, (uv_stream_t *)tcp);
		if (status == 0) {
			uv_tcp_nodelay(tcp, 1);
			l->ops->on_connection(l->ctx, l, tcp);
			return;
		}
		uv_close((uv_handle_t *)tcp, on_closed);
	} else {
		free(tcp);
	}
	if (log_allow(&l->failures, net_now_ms(stream->loop), 1, 10000,
	    &suppressed))
		log_error("accept failed listen=%s why=\"%s\" suppressed=%u",
		    l->address, uv_strerror(status), suppressed);
}

static void explain(const struct setup_listen *where, int error,
    char why[CONF_WHY_MAX])
{
	const char *remedy = "";

	if (error == EADDRINUSE)
		remedy = "; another tunnel, Notes or Domino listens there "
		    "already: end it, or take another address with --listen";
	else if (error == EACCES)
		remedy = "; this port is reserved: take one above 1023";
	else if (error == EADDRNOTAVAIL)
		remedy = "; this machine does not have that address";
	snprintf(why, CONF_WHY_MAX, "cannot listen on %s: %s%s",
	    where->address, strerror(error), remedy);
}

/* The kernel may have chosen the port. */
static void read_address(struct listener *l)
{
	struct sockaddr_storage addr = { 0 };
	int len = sizeof(addr);

	uv_tcp_getsockname(&l->tcp, (struct sockaddr *)&addr, &len);
	net_text((const struct sockaddr *)&addr, l->address,
	    sizeof(l->address));
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct listener *l = handle->data;

	free(l->server);
	free(l);
}

int listener_new(struct listener **out, uv_loop_t *loop,
    const struct setup_listen *where, const struct listener_ops *ops,
    void *ctx, char why[CONF_WHY_MAX])
{
	struct listener *l = calloc(1, sizeof(*l));
	int fd, rc;

	if (l == NULL) {
		explain(where, ENOMEM, why);
		return ERR_NOMEM;
	}
	rc = net_listen_tcp((const struct sockaddr *)&where->addr, BACKLOG,
	    &fd);
	if (rc != 0) {
		explain(where, errno, why);
		free(l);
		return rc;
	}
	l->ops = ops;
	l->ctx = ctx;
	uv_tcp_init(loop, &l->tcp);
	l->tcp.data = l;
	rc = where->server != NULL ? conf_string(where->server, &l->server) :
	    0;
	if (rc == 0)
		rc = uv_tcp_open(&l->tcp, fd);
	if (rc == 0)
		fd = -1;	/* the handle's from now on */
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_connection);
	if (rc != 0) {
		if (fd >= 0)
			close(fd);
		explain(where, rc == ERR_NOMEM ? ENOMEM : -rc, why);
		listener_free(l);
		return ERR_IO;
	}
	read_address(l);
	*out = l;
	return 0;
}

void listener_free(struct listener *l)
{
	if (l != NULL)
		uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
}

const char *listener_address(const struct listener *l)
{
	return l->address;
}

const char *listener_server(const struct listener *l)
{
	return l->server;
}
