/*
 * TUN devices in other network namespaces: made, given an address and brought
 * up without any other program. Knows nothing of what passes through them.
 */
#ifndef TESTS_BENCH_TUN_H
#define TESTS_BENCH_TUN_H

#include <net/if.h>
#include <stdint.h>

struct tun {
	int fd;		/* one packet per read or write; from anywhere */
	int ns;			/* its namespace */
	char name[IFNAMSIZ];
};

/*
 * "NAMESPACE,DEVICE,ADDRESS/BITS" with the path of a namespace. Leaves the
 * thread in that namespace; ends the program with a message on failure.
 */
void tun_open(struct tun *t, const char *spec, unsigned mtu);

/*
 * Packets that the kernel threw away, since they were not read in time.
 * Leaves the thread in the device's namespace.
 */
uint64_t tun_unread(const struct tun *t);

__attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...);		/* the program's own */

#endif
