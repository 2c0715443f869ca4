/*
 * Tells when the other end of a connection has gone, for connections that
 * nobody reads from at the moment: an epoll set of its own that waits for
 * nothing but EPOLLRDHUP. libmicrohttpd does not watch a connection that it
 * has suspended, which may otherwise stay in CLOSE_WAIT for a whole hold.
 *
 * A peer that closes only its sending half counts as gone: HTTP clients and
 * proxies do not do that, and it cannot be told apart.
 */
#ifndef SERVER_HANGUP_H
#define SERVER_HANGUP_H

#include <uv.h>

struct hangup;

/*
 * on_hangup is called from the loop, once for each connection, with the user
 * pointer it was added with. 0, ERR_NOMEM or ERR_IO.
 */
int hangup_new(struct hangup **out, uv_loop_t *loop,
    void (*on_hangup)(void *user));
void hangup_free(struct hangup *h);

/*
 * Watch fd until it is closed, which takes it out of the set by itself (the
 * descriptor must not be duplicated). Costs nothing while data comes and goes.
 */
int hangup_add(struct hangup *h, int fd, void *user);

#endif
