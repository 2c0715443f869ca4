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

#define SETTLE_MS 100u		/* changes come in bursts */
#define PAUSE_MS 500u		/* fresh connections need some time */
#define RENEWED_CS 100u		/* after it was made, in 10 ms */
#define BUFFER_SIZE 16384u

#define CHANGED_LINK 1u
#define CHANGED_ADDRESS 2u
#define CHANGED_ROUTE 4u

struct netwatch {
	void (*on_change)(void *ctx, const char *what);
	void *ctx;
	unsigned changed;	/* CHANGED_*, still to be told */
	uint64_t told_ms;	/* when that was done last */
	int fd;
	bool polling;		/* poll and timer are initialised */
	unsigned open_handles;
	uv_poll_t poll;
	uv_timer_t timer;
};

static void on_settled(uv_timer_t *timer)
{
	static const char *const names[] = {
		"nothing", "interface", "address", "interface, address",
		"route", "interface, route", "address, route",
		"interface, address, route"
	};
	struct netwatch *w = timer->data;
	const char *what = names[w->changed];

	w->changed = 0;
	w->told_ms = uv_now(timer->loop);
	w->on_change(w->ctx, what);
}

/* Soon, but a network that does not come to rest must not stop everything. */
static void note(struct netwatch *w, unsigned changed)
{
	uint64_t now_ms = uv_now(w->timer.loop), at = now_ms + SETTLE_MS;

	w->changed |= changed;
	if (uv_is_active((uv_handle_t *)&w->timer))
		return;
	if (w->told_ms != 0 && at < w->told_ms + PAUSE_MS)
		at = w->told_ms + PAUSE_MS;
	uv_timer_start(&w->timer, on_settled, at - now_ms, 0);
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

/* A router's advertisements only renew an IPv6 address, every few minutes. */
static bool is_renewed(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *info = NLMSG_DATA(h);
	const struct rtattr *a = IFA_RTA(info);
	int left = (int)IFA_PAYLOAD(h);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		const struct ifa_cacheinfo *cache = RTA_DATA(a);

		if (a->rta_type == IFA_CACHEINFO &&
		    RTA_PAYLOAD(a) >= sizeof(*cache))
			return cache->tstamp - cache->cstamp >= RENEWED_CS;
	}
	return false;
}

static bool address_matters(const struct nlmsghdr *h)
{
	const struct ifaddrmsg *info = NLMSG_DATA(h);
	char name[IF_NAMESIZE];

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return false;
	if (h->nlmsg_type == RTM_NEWADDR && is_renewed(h))
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

/* CHANGED_* of one message, 0 if it does not matter. */
static unsigned message_changed(const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_matters(h) ? CHANGED_LINK : 0;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return address_matters(h) ? CHANGED_ADDRESS : 0;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_matters(h) ? CHANGED_ROUTE : 0;
	default:
		return 0;
	}
}

/* And of all messages of a datagram. */
static unsigned datagram_changed(const void *data, size_t left)
{
	unsigned changed = 0;

	while (left >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = data;
		size_t step;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			return changed;
		changed |= message_changed(h);
		step = NLMSG_ALIGN(h->nlmsg_len);
		if (step >= left)
			return changed;
		data = (const char *)data + step;
		left -= step;
	}
	return changed;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct netwatch *w = poll->data;
	_Alignas(struct nlmsghdr) char buffer[BUFFER_SIZE];
	unsigned changed = 0;
	ssize_t n;

	(void)events;
	while ((n = recv(w->fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0)
		changed |= datagram_changed(buffer, (size_t)n);
	/* The kernel had more to tell than fitted: something has changed. */
	if (n < 0 && errno == ENOBUFS)
		changed = CHANGED_LINK | CHANGED_ADDRESS | CHANGED_ROUTE;
	if (status < 0)
		uv_poll_stop(poll);
	if (changed != 0)
		note(w, changed);
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
    void (*on_change)(void *ctx, const char *what), void *ctx)
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
