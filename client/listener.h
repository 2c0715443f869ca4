/*
 * One listening TCP socket, where Notes connects. Accepts and hands over;
 * what becomes of the connections it does not know.
 */
#ifndef CLIENT_LISTENER_H
#define CLIENT_LISTENER_H

#include <uv.h>

#include "common/conf.h"

struct listener;
struct setup_listen;

struct listener_ops {
	/* A connection: the callee owns tcp (from malloc) from now on. */
	void (*on_connection)(void *ctx, struct listener *l, uv_tcp_t *tcp);
};

/*
 * Listen at once. 0; ERR_IO or ERR_NOMEM with a sentence in why that names
 * the address.
 */
int listener_new(struct listener **out, uv_loop_t *loop,
    const struct setup_listen *where, const struct listener_ops *ops,
    void *ctx, char why[CONF_WHY_MAX]);
void listener_free(struct listener *l);

/* The address with the real port, and the server's name or NULL for auto. */
const char *listener_address(const struct listener *l);
const char *listener_server(const struct listener *l);

#endif
