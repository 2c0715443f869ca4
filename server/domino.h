/*
 * Connecting to a Domino server: its addresses in turn, each resolved if it
 * is a name, until one accepts or the server's connect timeout has passed.
 * The time that is left is shared out equally among the addresses that are
 * left, so that a dead one never uses up the time of the next. Every failure
 * is logged with its address. Knows no streams.
 */
#ifndef SERVER_DOMINO_H
#define SERVER_DOMINO_H

#include <stdint.h>

#include <uv.h>

#include "server/servers.h"

struct domino;

struct domino_ops {
	/*
	 * Connected: tcp (from malloc) is the callee's. address is what was
	 * reached, as text, good during the call. The domino is to be freed.
	 */
	void (*on_connected)(void *ctx, uv_tcp_t *tcp, const char *address);
	/*
	 * No address answered: err is that of the last one tried
	 * (ERR_REFUSED, ERR_TIMEOUT, ERR_UNREACH, ...). To be freed.
	 */
	void (*on_failed)(void *ctx, int err);
};

/*
 * Begin. What is needed of server is copied. No callback before this has
 * returned; exactly one later, unless freed first. 0, ERR_NOMEM or ERR_IO.
 */
int domino_connect(struct domino **out, uv_loop_t *loop,
    const struct server *server, const struct domino_ops *ops, void *ctx);

/* Also from within a callback; NULL is fine. Gives up what is under way. */
void domino_free(struct domino *d);

#endif
