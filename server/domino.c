#include "config.h"

#include "server/domino.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"

#define KEEPALIVE_S 60u		/* notices a Domino machine that died */
#define CANDIDATES_MAX 8u	/* addresses taken from one name */

/*
 * A connect or a lookup under way. libuv calls back in any case, so that it
 * outlives the domino: d is NULL when nobody waits for it any more.
 */
struct attempt {
	struct domino *d;
	uv_tcp_t *tcp;
	uv_connect_t connect;
};

struct lookup {
	struct domino *d;
	uv_getaddrinfo_t req;
};

struct domino {
	uv_loop_t *loop;
	uv_timer_t deadline;	/* of the attempt or lookup under way */
	const struct domino_ops *ops;
	void *ctx;
	char *server;
	struct net_host *addresses;
	size_t address_count, address;	/* address: the one being tried */
	uint64_t until_ms;		/* for everything */
	uint64_t address_until_ms;	/* for the address being tried */
	struct sockaddr_storage candidates[CANDIDATES_MAX];
	size_t candidate_count, candidate;
	struct attempt *attempt;	/* at most one of these two */
	struct lookup *lookup;
	int soon;			/* a libuv status to act on at once */
};

static void try_address(struct domino *d);
static void try_candidate(struct domino *d);

static void on_tcp_closed(uv_handle_t *handle)
{
	free(handle);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void abandon(struct domino *d)
{
	if (d->attempt != NULL) {
		d->attempt->d = NULL;
		uv_close((uv_handle_t *)d->attempt->tcp, on_tcp_closed);
		d->attempt = NULL;
	}
	if (d->lookup != NULL) {
		d->lookup->d = NULL;
		/* Too late if a thread has it already: then it just ends. */
		(void)uv_cancel((uv_req_t *)&d->lookup->req);
		d->lookup = NULL;
	}
}

void domino_free(struct domino *d)
{
	if (d == NULL)
		return;
	abandon(d);
	free(d->server);
	free(d->addresses);
	d->server = NULL;
	d->addresses = NULL;
	uv_close((uv_handle_t *)&d->deadline, on_closed);
}

/* An equal part of the time until then, for one of `left`. */
static uint64_t share(const struct domino *d, uint64_t until_ms, size_t left)
{
	uint64_t now_ms = net_now_ms(d->loop);

	return until_ms > now_ms ? (until_ms - now_ms) / left : 0;
}

static const char *candidate_text(const struct domino *d, char *out,
    size_t out_len)
{
	if (d->candidate < d->candidate_count)
		return net_text((const struct sockaddr *)
		    &d->candidates[d->candidate], out, out_len);
	return d->addresses[d->address].host;
}

/* What was tried last failed with this libuv status: log, go on. */
static void on_attempt_failed(struct domino *d, int status)
{
	char text[NET_TEXT_MAX];

	log_warn("connect failed server=\"%s\" address=%s error=\"%s\"",
	    d->server, candidate_text(d, text, sizeof(text)),
	    uv_strerror(status));
	if (d->candidate < d->candidate_count)
		d->candidate++;
	if (d->candidate < d->candidate_count) {
		try_candidate(d);
		return;
	}
	d->address++;
	if (d->address < d->address_count) {
		try_address(d);
		return;
	}
	d->ops->on_failed(d->ctx, err_from_uv(status));	/* frees d */
}

static void on_deadline(uv_timer_t *timer)
{
	struct domino *d = timer->data;
	int status = d->soon != 0 ? d->soon : UV_ETIMEDOUT;

	d->soon = 0;
	abandon(d);
	on_attempt_failed(d, status);
}

/* Fail, but not inside the call that noticed it. */
static void fail_soon(struct domino *d, int status)
{
	d->soon = status;
	uv_timer_start(&d->deadline, on_deadline, 0, 0);
}

static void on_connected(uv_connect_t *req, int status)
{
	struct attempt *a = req->data;
	struct domino *d = a->d;
	uv_tcp_t *tcp = a->tcp;
	char text[NET_TEXT_MAX];

	free(a);
	if (d == NULL)
		return;
	d->attempt = NULL;
	uv_timer_stop(&d->deadline);
	if (status != 0) {
		uv_close((uv_handle_t *)tcp, on_tcp_closed);
		on_attempt_failed(d, status);
		return;
	}
	/* Only hints: the connection works without them. */
	(void)uv_tcp_nodelay(tcp, 1);
	(void)uv_tcp_keepalive(tcp, 1, KEEPALIVE_S);
	d->ops->on_connected(d->ctx, tcp,	/* frees d */
	    candidate_text(d, text, sizeof(text)));
}

static int start_attempt(struct domino *d, const struct sockaddr *to)
{
	struct attempt *a = calloc(1, sizeof(*a));
	int rc = UV_ENOMEM;

	if (a == NULL)
		return rc;
	a->tcp = malloc(sizeof(*a->tcp));
	if (a->tcp == NULL)
		goto fail;
	rc = uv_tcp_init(d->loop, a->tcp);
	if (rc != 0)
		goto fail;
	a->connect.data = a;
	rc = uv_tcp_connect(&a->connect, a->tcp, to, on_connected);
	if (rc != 0) {
		uv_close((uv_handle_t *)a->tcp, on_tcp_closed);
		free(a);
		return rc;
	}
	a->d = d;
	d->attempt = a;
	return 0;

fail:
	free(a->tcp);
	free(a);
	return rc;
}

static void try_candidate(struct domino *d)
{
	uint64_t wait_ms = share(d, d->address_until_ms,
	    d->candidate_count - d->candidate);
	int rc;

	rc = start_attempt(d, (const struct sockaddr *)
	    &d->candidates[d->candidate]);
	if (rc != 0)
		fail_soon(d, rc);
	else
		uv_timer_start(&d->deadline, on_deadline, wait_ms, 0);
}

static void on_resolved(uv_getaddrinfo_t *req, int status,
    struct addrinfo *list)
{
	struct lookup *l = req->data;
	struct domino *d = l->d;

	free(l);
	if (d != NULL) {
		d->lookup = NULL;
		uv_timer_stop(&d->deadline);
		for (struct addrinfo *ai = list; ai != NULL &&
		    d->candidate_count < CANDIDATES_MAX; ai = ai->ai_next)
			memcpy(&d->candidates[d->candidate_count++],
			    ai->ai_addr, ai->ai_addrlen);
		if (d->candidate_count > 0)
			try_candidate(d);
		else
			on_attempt_failed(d, status != 0 ? status :
			    UV_EAI_NONAME);
	}
	uv_freeaddrinfo(list);
}

static int start_lookup(struct domino *d, const struct net_host *host)
{
	static const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV,
	};
	struct lookup *l = calloc(1, sizeof(*l));
	char port[8];
	int rc;

	if (l == NULL)
		return UV_ENOMEM;
	snprintf(port, sizeof(port), "%u", (unsigned)host->port);
	l->req.data = l;
	rc = uv_getaddrinfo(d->loop, &l->req, on_resolved, host->host, port,
	    &hints);
	if (rc != 0) {
		free(l);
		return rc;
	}
	l->d = d;
	d->lookup = l;
	return 0;
}

static void try_address(struct domino *d)
{
	const struct net_host *host = &d->addresses[d->address];
	uint64_t wait_ms = share(d, d->until_ms, d->address_count - d->address);
	int rc;

	d->address_until_ms = net_now_ms(d->loop) + wait_ms;
	d->candidate = 0;
	d->candidate_count = 0;
	if (net_host_literal(host, &d->candidates[0]) == 0) {
		d->candidate_count = 1;
		try_candidate(d);
		return;
	}
	rc = start_lookup(d, host);
	if (rc != 0)
		fail_soon(d, rc);
	else
		uv_timer_start(&d->deadline, on_deadline, wait_ms, 0);
}

int domino_connect(struct domino **out, uv_loop_t *loop,
    const struct server *server, const struct domino_ops *ops, void *ctx)
{
	struct domino *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return ERR_NOMEM;
	d->loop = loop;
	d->ops = ops;
	d->ctx = ctx;
	d->server = strdup(server->name);
	d->addresses = calloc(server->address_count, sizeof(*d->addresses));
	if (d->server == NULL || d->addresses == NULL ||
	    uv_timer_init(loop, &d->deadline) != 0) {
		free(d->server);
		free(d->addresses);
		free(d);
		return ERR_NOMEM;
	}
	d->deadline.data = d;
	memcpy(d->addresses, server->addresses,
	    server->address_count * sizeof(*d->addresses));
	d->address_count = server->address_count;
	d->until_ms = net_now_ms(loop) + server->connect_ms;
	try_address(d);
	*out = d;
	return 0;
}
