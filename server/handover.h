/*
 * What a gateway and the program that is to replace it say to each other: whole
 * messages with descriptors beside them, over a socket pair, each with a
 * deadline. Calls wait, for neither has anything else to do meanwhile.
 *
 *	new	HELLO	it has read its configuration; versions of the state
 *			that it reads
 *	old	STATE	how long the state is, how many descriptors follow; as
 *			descriptor the memory file with it (common/state.h)
 *	old	FDS	descriptors in the order in which the state counts them,
 *			as many messages as it takes
 *	new	TAKEN	it has read all of it and could go on at once
 *	old	GO	it goes on; the old one is no more
 *	new	FAILED	instead of HELLO or TAKEN: why it cannot
 *
 * Who ends closes its socket, and the other one knows. Before GO the new one
 * sends nothing to anybody and reads from no socket, and after GO the old one
 * does not. So there is one moment at which everything changes hands, and
 * whatever goes wrong before it has changed nothing.
 */
#ifndef SERVER_HANDOVER_H
#define SERVER_HANDOVER_H

#include <stddef.h>
#include <stdint.h>

#define HANDOVER_FD 3		/* the socket in the new program */
#define HANDOVER_ENV "NRPC_GATEWAY_UPGRADE"	/* set there, to "3" */
#define HANDOVER_TEXT_MAX 512u	/* bytes of a sentence, with NUL */

enum handover_type {
	HANDOVER_HELLO = 1,
	HANDOVER_STATE = 2,
	HANDOVER_FDS = 3,
	HANDOVER_TAKEN = 4,
	HANDOVER_GO = 5,
	HANDOVER_FAILED = 6
};

struct handover_message {
	enum handover_type type;
	uint64_t a, b;		/* HELLO: least and greatest version of the
				   state; STATE: bytes, descriptors */
	char text[HANDOVER_TEXT_MAX];	/* HELLO: its own version; FAILED */
};

struct fds;

/* The two ends: not inherited, and never both in one process for long. */
int handover_pair(int *mine, int *theirs);

/*
 * Send one, with nothing or one descriptor beside it. 0; ERR_TIMEOUT after
 * wait_ms; ERR_CLOSED when the other end is gone; ERR_IO.
 */
int handover_send(int socket, const struct handover_message *m, int fd,
    uint64_t wait_ms);

/* All descriptors of the list, in as many messages as it takes. */
int handover_send_fds(int socket, const struct fds *fds, uint64_t wait_ms);

/*
 * Wait for one; descriptors beside it are appended to fds (close-on-exec), or
 * closed if it is NULL. 0, ERR_TIMEOUT, ERR_CLOSED, ERR_PROTO (no such
 * message), ERR_LIMIT (no room for the descriptors in this process), ERR_NOMEM
 * or ERR_IO.
 */
int handover_receive(int socket, struct handover_message *m, struct fds *fds,
    uint64_t wait_ms);

/* A message of this type with a text, to be sent; cut to what fits. */
struct handover_message handover_text(enum handover_type type,
    const char *text);

#endif
