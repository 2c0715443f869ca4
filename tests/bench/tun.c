#include "config.h"

#include "tests/bench/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define UNREAD_MAX 10000	/* packets that the kernel keeps until read */

static void request(int fd, unsigned long what, struct ifreq *r)
{
	if (ioctl(fd, what, r) != 0)
		die("cannot set up the device %s: %s", r->ifr_name,
		    strerror(errno));
}

static void set_ipv4(struct sockaddr *to, in_addr_t address)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_addr.s_addr = address
	};

	memcpy(to, &in, sizeof(in));
}

static void set_address(int fd, struct ifreq *r, char *address)
{
	struct in_addr in;
	char *bits = strchr(address, '/');
	int n = bits != NULL ? atoi(bits + 1) : 0;

	if (n < 1 || n > 31)
		die("%s: an address like 10.0.0.1/24 is needed", address);
	*bits = '\0';
	if (inet_pton(AF_INET, address, &in) != 1)
		die("%s: not an IPv4 address", address);
	set_ipv4(&r->ifr_addr, in.s_addr);
	request(fd, SIOCSIFADDR, r);
	set_ipv4(&r->ifr_netmask, htonl(UINT32_MAX << (32 - n)));
	request(fd, SIOCSIFNETMASK, r);
}

/* The device is in the namespace that the thread is in. */
static void bring_up(const char *name, char *address, unsigned mtu)
{
	struct ifreq r = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("cannot make a socket: %s", strerror(errno));
	memcpy(r.ifr_name, name, IFNAMSIZ);
	set_address(fd, &r, address);
	r.ifr_mtu = (int)mtu;
	request(fd, SIOCSIFMTU, &r);
	r.ifr_qlen = UNREAD_MAX;
	request(fd, SIOCSIFTXQLEN, &r);
	request(fd, SIOCGIFFLAGS, &r);
	r.ifr_flags |= IFF_UP | IFF_RUNNING;
	request(fd, SIOCSIFFLAGS, &r);
	close(fd);
}

static void enter(const struct tun *t)
{
	if (setns(t->ns, CLONE_NEWNET) != 0)
		die("cannot enter the namespace of %s: %s", t->name,
		    strerror(errno));
}

void tun_open(struct tun *t, const char *spec, unsigned mtu)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	char *text = strdup(spec), *rest = text;
	char *path = strsep(&rest, ","), *device = strsep(&rest, ",");

	if (rest == NULL || strlen(device) >= IFNAMSIZ)
		die("%s: NAMESPACE,DEVICE,ADDRESS/BITS is needed", spec);
	memset(t, 0, sizeof(*t));
	memcpy(t->name, device, strlen(device));
	t->ns = open(path, O_RDONLY | O_CLOEXEC);
	if (t->ns < 0)
		die("cannot open %s: %s", path, strerror(errno));
	enter(t);
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		die("cannot open /dev/net/tun: %s", strerror(errno));
	memcpy(r.ifr_name, t->name, IFNAMSIZ);
	request(t->fd, TUNSETIFF, &r);
	bring_up(t->name, rest, mtu);
	free(text);
}

uint64_t tun_unread(const struct tun *t)
{
	char line[512];
	uint64_t dropped = 0;
	FILE *f;

	enter(t);
	f = fopen("/proc/thread-self/net/dev", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		char *colon = strchr(line, ':');

		if (colon == NULL)
			continue;
		*colon = '\0';
		/* Eight columns of what came in, then bytes, packets, ... */
		if (strcmp(line + strspn(line, " "), t->name) == 0)
			(void)sscanf(colon + 1, "%*u %*u %*u %*u %*u %*u %*u "
			    "%*u %*u %*u %*u %" SCNu64, &dropped);
	}
	if (f != NULL)
		fclose(f);
	return dropped;
}
