/*
 * The way that packets take from this machine to an address, as far as this
 * machine knows it: which interface, which router, which address of our own.
 * Knows nothing of connections, nor of what becomes of them.
 *
 * Part of the netwatch, and as much the system's own as that is.
 */
#ifndef CLIENT_NETPATH_H
#define CLIENT_NETPATH_H

#include <stdbool.h>
#include <stdint.h>

#include <sys/socket.h>

struct netpath {
	unsigned interface;	/* its index; 0: there is no way */
	unsigned flags;		/* of the interface: up, running, loopback */
	uint8_t source[16];	/* zeros behind an IPv4 address */
	uint8_t router[20];	/* family and address; zeros: none */
};

/*
 * Ask the kernel. 0, also where there is no way; ERR_IO (see errno) when it
 * could not be asked.
 */
int netpath_find(const struct sockaddr *to, struct netpath *out);

bool netpath_is_same(const struct netpath *a, const struct netpath *b);

/* Does it end on this machine? */
bool netpath_is_local(const struct netpath *p);

/* Of all flags of an interface, those that a path has. */
unsigned netpath_flags(unsigned all_flags);

#endif
