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
#include <netinet/in.h>

#include "client/netpath.h"
#include "common/err.h"
#include "common/log.h"

#define SETTLE_MS 100u		/* changes come in bursts */
#define PAUSE_MS 500u		/* fresh connections need some time */
#define RENEWED_CS 100u		/* after it was made, in 10 ms */
#define BUFFER_SIZE 16384u
#define PLACES_MAX 8u		/* addresses that connections go to */

#define CHANGED_LINK 1u
#define CHANGED_ADDRESS 2u
#define CHANGED_ROUTE 4u

/* Where connections go to, and the way there when the first was opened. */
struct place {
	struct sockaddr_storage to;
	struct netpath path;
};

struct netwatch {
	void (*on_change)(void *ctx, const char *what);
	void *ctx;
	unsigned changed;	/* CHANGED_*, still to be told */
	bool concerns;		/* it is about an interface on the way */
	uint64_t told_ms;	/* when that was done last */
	struct place places[PLACES_MAX];
	unsigned place_count;
	bool unknown;		/* there is a place that is not in the list */
	int fd;
	bool polling;		/* poll and timer are initialised */
	unsigned open_handles;
	uv_poll_t poll;
	uv_timer_t timer;
};

/* ---- where connections go --------------------------------------------- */

static socklen_t address_len(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
	    sizeof(struct sockaddr_in);
}

/* With the port: another one makes another place, which does no harm. */
static bool is_known(const struct netwatch *w, const struct sockaddr *to)
{
	for (unsigned i = 0; i < w->place_count; i++)
		if (memcmp(&w->places[i].to, to, address_len(to)) == 0)
			return true;
	return false;
}

void netwatch_add(struct netwatch *w, const struct sockaddr *to)
{
	struct place *place = &w->places[w->place_count];

	if (w->unknown || is_known(w, to))
		return;
	w->unknown = true;
	if (w->place_count == PLACES_MAX ||
	    netpath_find(to, &place->path) != 0 ||
	    netpath_is_local(&place->path))
		return;
	w->unknown = false;
	memset(&place->to, 0, sizeof(place->to));
	memcpy(&place->to, to, address_len(to));
	w->place_count++;
}

/* Does any of what is connected go, or should it go, another way now? */
static bool has_moved(const struct netwatch *w)
{
	struct netpath now;

	if (w->unknown || w->place_count == 0)
		return true;
	for (unsigned i = 0; i < w->place_count; i++) {
		const struct place *place = &w->places[i];

		if (netpath_find((const struct sockaddr *)&place->to,
		    &now) != 0 || !netpath_is_same(&place->path, &now))
			return true;
	}
	return false;
}

static const struct place *place_behind(const struct netwatch *w,
    unsigned interface)
{
	for (unsigned i = 0; i < w->place_count; i++)
		if (w->places[i].path.interface == interface)
			return &w->places[i];
	return NULL;
}

/* ---- what is told ----------------------------------------------------- */

static void on_settled(uv_timer_t *timer)
{
	static const char *const names[] = {
		"nothing", "interface", "address", "interface, address",
		"route", "interface, route", "address, route",
		"interface, address, route"
	};
	struct netwatch *w = timer->data;
	const char *what = names[w->changed];
	bool tell = w->concerns || has_moved(w);

	w->changed = 0;
	w->concerns = false;
	if (!tell) {
		log_debug("network changed elsewhere what=\"%s\"", what);
		return;
	}
	w->told_ms = uv_now(timer->loop);
	w->place_count = 0;
	w->unknown = false;
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

/* ---- what the kernel says --------------------------------------------- */

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

/*
 * An interface that connections go through came, went, went up or down: also
 * if all is as it was by the time that it has settled.
 */
static bool link_concerns(const struct netwatch *w, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);
	const struct place *place;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)))
		return false;
	place = place_behind(w, (unsigned)info->ifi_index);
	return place != NULL && (h->nlmsg_type == RTM_DELLINK ||
	    netpath_flags(info->ifi_flags) != place->path.flags);
}

/*
 * An address of such an interface, but for those that IPv6 gives to every
 * interface some time after it came up: no connection of ours has one.
 */
static bool address_concerns(const struct netwatch *w,
    const struct nlmsghdr *h)
{
	const struct ifaddrmsg *info = NLMSG_DATA(h);

	return address_matters(h) && place_behind(w, info->ifa_index) != NULL &&
	    !(info->ifa_family == AF_INET6 &&
	    info->ifa_scope == RT_SCOPE_LINK);
}

/* CHANGED_* of one message, 0 if it does not matter. */
static unsigned message_changed(struct netwatch *w, const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (!link_concerns(w, h))
			return link_matters(h) ? CHANGED_LINK : 0;
		w->concerns = true;
		return CHANGED_LINK;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (address_concerns(w, h))
			w->concerns = true;
		return address_matters(h) ? CHANGED_ADDRESS : 0;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return route_matters(h) ? CHANGED_ROUTE : 0;
	case RTM_NEWRULE:	/* which of the tables of routes counts */
	case RTM_DELRULE:
		return CHANGED_ROUTE;
	default:
		return 0;
	}
}

/* And of all messages of a datagram. */
static unsigned datagram_changed(struct netwatch *w, const void *data,
    size_t left)
{
	unsigned changed = 0;

	while (left >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *h = data;
		size_t step;

		if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > left)
			return changed;
		changed |= message_changed(w, h);
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
		changed |= datagram_changed(w, buffer, (size_t)n);
	/* The kernel had more to tell than fitted: something has changed. */
	if (n < 0 && errno == ENOBUFS) {
		changed = CHANGED_LINK | CHANGED_ADDRESS | CHANGED_ROUTE;
		w->concerns = true;
	}
	if (status < 0)
		uv_poll_stop(poll);
	if (changed != 0)
		note(w, changed);
}

/* ---- beginning and end ------------------------------------------------ */

static int open_netlink(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
		    RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
		    RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
		    1u << (RTNLGRP_IPV6_RULE - 1)
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
