#include "config.h"

#include "client/netwatch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "common/err.h"

#define SETTLE_MS 300u		/* changes come in bursts */
#define BUFFER_SIZE 16384u

struct netwatch {
	void (*on_change)(void *ctx);
	void *ctx;
	int fd;
	bool polling;		/* poll and timer are initialised */
	unsigned open_handles;
	uv_poll_t poll;
	uv_timer_t timer;
};

static void on_settled(uv_timer_t *timer)
{
	struct netwatch *w = timer->data;

	w->on_change(w->ctx);
}

/* Interface changes count unless they are the loopback's, or only counters. */
static bool link_matters(const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return false;
	if ((info->ifi_flags & IFF_LOOPBACK) != 0)
		return false;
	return h->nlmsg_type == RTM_DELLINK || info->ifi_change != 0;
}

static bool address_matters(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *info = NLMSG_DATA(h);
	char name[IF_NAMESIZE];

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return false;
	return if_indextoname(info->ifa_index, name) == NULL ||
	    strcmp(name, "lo") != 0;
}

/* Of routes, those of the main table; the local one repeats the addresses. */
static bool route_matters(const struct nlmsghdr *h)
{
	const struct rtmsg *info = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return false;
	return info->rtm_table != RT_TABLE_LOCAL &&
	    (info->rtm_flags & RTM_F_CLONED) == 0;
}

static bool message_matters(const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_matters(h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return address_matters(h);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_matters(h);
	default:
		return false;
	}
}

/* Does any message of a datagram matter? */
static bool datagram_matters(const void *data, size_t left)
{
	while (left >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = data;
		size_t step;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			return false;
		if (message_matters(h))
			return true;
		step = NLMSG_ALIGN(h->nlmsg_len);
		if (step >= left)
			return false;
		data = (const char *)data + step;
		left -= step;
	}
	return false;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct netwatch *w = poll->data;
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
	bool matters = false;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		matters = datagram_matters(buffer, (size_t)n) || matters;
	/* The kernel had more to tell than fitted: something has changed. */
	if (n < 0 && errno == ENOBUFS)
		matters = true;
	if (status < 0)
		uv_poll_stop(poll);
	if (matters)
		uv_timer_start(&w->timer, on_settled, SETTLE_MS, 0);
}

static int open_netlink(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
		    RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
		    RTMGRP_IPV6_ROUTE
	};
	int fd;

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    NETLINK_ROUTE);
	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

int netwatch_new(struct netwatch **out, uv_loop_t *loop,
    void (*on_change)(void *ctx), void *ctx)
{
	struct netwatch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ERR_NOMEM;
	w->on_change = on_change;
	w->ctx = ctx;
	w->fd = open_netlink();
	if (w->fd < 0 || uv_poll_init(loop, &w->poll, w->fd) != 0) {
		netwatch_free(w);
		return ERR_IO;
	}
	uv_timer_init(loop, &w->timer);
	w->poll.data = w;
	w->timer.data = w;
	w->polling = true;
	if (uv_poll_start(&w->poll, UV_READABLE, on_poll) != 0) {
		netwatch_free(w);
		return ERR_IO;
	}
	*out = w;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct netwatch *w = handle->data;

	if (--w->open_handles > 0)
		return;
	close(w->fd);
	free(w);
}

void netwatch_free(struct netwatch *w)
{
	if (w == NULL)
		return;
	if (!w->polling) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return;
	}
	w->open_handles = 2;
	uv_close((uv_handle_t *)&w->poll, on_closed);
	uv_close((uv_handle_t *)&w->timer, on_closed);
}
