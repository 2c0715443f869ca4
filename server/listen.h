/*
 * The gateway's listening sockets, as the settings want them.
 */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/net.h"
#include "server/settings.h"

#define LISTEN_WHY_MAX 512u

struct listen_socket {
	int fd;
	bool is_tcp;
	bool is_systemds;		/* systemd has made it */
	char address[NET_TEXT_MAX];	/* with the real port, for the log */
	char *unlink_path;		/* a socket file that we made, */
	dev_t unlink_dev;		/* and which file that was */
	ino_t unlink_ino;
};

/* Sockets that another process has handed over; see listen_import. */
struct listen_given {
	struct listen_socket *list;
	size_t count;
};

/*
 * Bind and listen on all of them: *out is a heap array of *count. Those that
 * were given (NULL: none) are used where they fit. On failure nothing stays
 * open, or with `given` the process is to end. 0, ERR_EXIST, ERR_IO, ERR_NOENT
 * (systemd passed none) or ERR_NOMEM, with a sentence in why.
 */
int listen_open(const struct settings *s, struct listen_given *given,
    struct listen_socket **out, size_t *count, char why[LISTEN_WHY_MAX]);

/* Close those that listen_open has left; nobody wants them any more. */
void listen_drop(struct listen_given *given);

/*
 * For an upgrade: a section STATE_LISTEN for each, with its descriptor; and
 * the body of such a section, with the descriptor that goes with it, into what
 * is given to listen_open. 0, ERR_PROTO or ERR_NOMEM.
 */
struct fds;
struct state_in;
struct state_out;
void listen_export(const struct listen_socket *list, size_t count,
    struct state_out *o, struct fds *fds);
int listen_import(struct listen_given *given, struct state_in *in,
    struct fds *fds);

/*
 * Remove the socket files that listen_open made, unless another process has
 * put its own in their place, and free the array; with
 * close_fds the descriptors too (else they are somebody else's by now).
 */
void listen_free(struct listen_socket *list, size_t count, bool close_fds);

#endif
