/*
 * Tells when this machine's network has changed: another interface, address
 * or route. Several changes close together are told once. Knows nothing of
 * what is done about it.
 *
 * This is the seam between operating systems, each with a file of its own:
 * where there is no way to know, netwatch_new succeeds and stays silent.
 */
#ifndef CLIENT_NETWATCH_H
#define CLIENT_NETWATCH_H

#include <uv.h>

struct netwatch;

/*
 * on_change is told what has changed: words for people, separated by commas,
 * that live for the call. 0, ERR_NOMEM or ERR_IO (see errno).
 */
int netwatch_new(struct netwatch **out, uv_loop_t *loop,
    void (*on_change)(void *ctx, const char *what), void *ctx);
void netwatch_free(struct netwatch *w);

#endif
