/*
 * A list of networks, as ADDRESS or ADDRESS/BITS; IPv4 addresses inside of
 * IPv6 (::ffff:192.0.2.1) are IPv4 ones.
 */
#ifndef SERVER_NETWORKS_H
#define SERVER_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define NETWORKS_MAX 256u
#define NETWORKS_WHY_MAX 128u

struct networks {
	size_t count;
	struct network {
		uint8_t address[16];
		unsigned bits;		/* of the 128 */
	} list[NETWORKS_MAX];
};

/*
 * The 128 bits that stand for an address, IPv4 in its IPv6 form; false for
 * what is neither (a unix socket).
 */
bool networks_address(const struct sockaddr *sa, uint8_t out[16]);

/* The same from text, "192.0.2.1" or "2001:db8::1". */
bool networks_parse(const char *text, uint8_t out[16]);

/* ERR_CONFIG with a phrase in why, or ERR_LIMIT. */
int networks_add(struct networks *n, const char *text,
    char why[NETWORKS_WHY_MAX]);

bool networks_contain(const struct networks *n, const uint8_t address[16]);

#endif
