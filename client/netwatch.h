/*
 * Tells when this machine's network has changed: another interface, address
 * or route. Several changes close together are told once. Knows nothing of
 * what is done about it.
 *
 * It is told where connections go to, and is silent about what does not
 * concern the way there: a container's interface that comes and goes, say. Any
 * change is told as long as it knows of no such address, or of too many, or
 * where one is on this machine: who knows where a proxy there goes on to.
 *
 * This is the seam between operating systems, each with a file of its own:
 * where there is no way to know, netwatch_new succeeds and stays silent.
 */
#ifndef CLIENT_NETWATCH_H
#define CLIENT_NETWATCH_H

#include <sys/socket.h>

#include <uv.h>

struct netwatch;

/*
 * on_change is told what has changed: words for people, separated by commas,
 * that live for the call. 0, ERR_NOMEM or ERR_IO (see errno).
 */
int netwatch_new(struct netwatch **out, uv_loop_t *loop,
    void (*on_change)(void *ctx, const char *what), void *ctx);
void netwatch_free(struct netwatch *w);

/*
 * A connection to this address is about to be opened. Holds until the next
 * on_change; before that is called, all addresses are forgotten.
 */
void netwatch_add(struct netwatch *w, const struct sockaddr *to);

#endif
