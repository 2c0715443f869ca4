#include "config.h"

#include "client/netpath.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>

#include "common/err.h"

#define ANSWER_MAX 4096u	/* bytes; one route is far less */

struct question {
	struct nlmsghdr head;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[16];
};

/* False: neither IPv4 nor IPv6, or one that every interface leads to. */
static bool put_address(struct question *q, const struct sockaddr *to)
{
	const void *from;
	size_t len;

	if (to->sa_family == AF_INET) {
		from = &((const struct sockaddr_in *)to)->sin_addr;
		len = 4;
	} else if (to->sa_family == AF_INET6) {
		from = &((const struct sockaddr_in6 *)to)->sin6_addr;
		len = 16;
		if (IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)from))
			return false;
	} else {
		return false;
	}
	memcpy(q->address, from, len);
	q->route.rtm_family = (unsigned char)to->sa_family;
	q->route.rtm_dst_len = (unsigned char)(8 * len);
	q->attribute.rta_type = RTA_DST;
	q->attribute.rta_len = (unsigned short)RTA_LENGTH(len);
	q->head.nlmsg_len = (uint32_t)(NLMSG_LENGTH(sizeof(q->route)) +
	    RTA_LENGTH(len));
	return true;
}

static void take_attribute(struct netpath *p, const struct rtattr *a,
    unsigned family)
{
	const void *data = RTA_DATA(a);
	size_t len = RTA_PAYLOAD(a);

	switch (a->rta_type) {
	case RTA_OIF:
		if (len == sizeof(p->interface))
			memcpy(&p->interface, data, len);
		break;
	case RTA_PREFSRC:
		if (len <= sizeof(p->source))
			memcpy(p->source, data, len);
		break;
	case RTA_GATEWAY:
		p->router[0] = (uint8_t)family;
		if (len <= sizeof(p->router) - 2)
			memcpy(p->router + 2, data, len);
		break;
	case RTA_VIA:		/* of the other family; says so itself */
		if (len <= sizeof(p->router))
			memcpy(p->router, data, len);
		break;
	default:
		break;
	}
}

/* An error says that there is no way: all of *p stays zero. */
static void take_answer(struct netpath *p, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);
	const struct rtattr *a;
	int left;

	if (h->nlmsg_type != RTM_NEWROUTE ||
	    h->nlmsg_len < NLMSG_LENGTH(sizeof(*route)))
		return;
	if (route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL)
		return;
	left = (int)RTM_PAYLOAD(h);
	for (a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left))
		take_attribute(p, a, route->rtm_family);
}

unsigned netpath_flags(unsigned all_flags)
{
	return all_flags & (IFF_UP | IFF_RUNNING | IFF_LOOPBACK);
}

/* Stays 0 where the interface is gone by now. */
static void look_at_interface(struct netpath *p)
{
	struct ifreq request = { 0 };
	int fd;

	if (p->interface == 0 ||
	    if_indextoname(p->interface, request.ifr_name) == NULL)
		return;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0)
		p->flags = netpath_flags((unsigned short)request.ifr_flags);
	close(fd);
}

/* The kernel answers within send: there is nothing to wait for. */
static int ask(int fd, struct question *q, struct netpath *out)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
	ssize_t n;

	if (send(fd, q, q->head.nlmsg_len, 0) < 0)
		return ERR_IO;
	n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 0)
		return ERR_IO;
	if (!NLMSG_OK(h, (size_t)n)) {
		errno = EBADMSG;
		return ERR_IO;
	}
	memset(out, 0, sizeof(*out));
	take_answer(out, h);
	look_at_interface(out);
	return 0;
}

int netpath_find(const struct sockaddr *to, struct netpath *out)
{
	struct question q = {
		.head = {
			.nlmsg_type = RTM_GETROUTE,
			.nlmsg_flags = NLM_F_REQUEST
		}
	};
	int fd, rc;

	if (!put_address(&q, to)) {
		errno = EAFNOSUPPORT;
		return ERR_IO;
	}
	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return ERR_IO;
	rc = ask(fd, &q, out);
	close(fd);
	return rc;
}

bool netpath_is_same(const struct netpath *a, const struct netpath *b)
{
	return a->interface == b->interface && a->flags == b->flags &&
	    memcmp(a->source, b->source, sizeof(a->source)) == 0 &&
	    memcmp(a->router, b->router, sizeof(a->router)) == 0;
}

bool netpath_is_local(const struct netpath *p)
{
	return (p->flags & IFF_LOOPBACK) != 0;
}
