#include "config.h"

#include "tests/bench/fleet_user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/setup.h"
#include "client/tunnel.h"
#include "common/err.h"
#include "common/net.h"
#include "tests/support/pattern.h"
#include "tests/support/script.h"

#define CHUNK 65536u

struct user {
	uv_loop_t *loop;
	const struct user_load *load;
	const struct user_ops *ops;
	void *ctx;
	struct tunnel *tunnel;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_timer_t timer;
	unsigned open_handles;
	bool connecting, connected, ready, over;
	bool resting;			/* there is no connection, */
	bool closing;			/* or the last one goes */
	bool under_way;
	struct script script;
	uint64_t up_done, down_done;	/* places in the patterns */
	uint64_t down_end;		/* where the answer ends */
	uint64_t began_us, due_us;
};

/* All users are on one loop, and keep nothing here in between. */
static uint8_t scratch[CHUNK];

uint64_t fleet_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void fail(struct user *u, const char *why)
{
	if (u->over)
		return;
	u->over = true;
	u->under_way = false;
	uv_timer_stop(&u->timer);
	uv_read_stop((uv_stream_t *)&u->tcp);
	u->ops->on_failed(u->ctx, u, why);
}

/* ---- transactions ----------------------------------------------------- */

/* A request is small, and nothing else is under way: the kernel has room. */
static void send_request(struct user *u, size_t head_len)
{
	size_t len = head_len + (size_t)u->load->up;
	uv_buf_t buf = uv_buf_init((char *)scratch, (unsigned)len);

	pattern_fill(script_seed_up(&u->script), u->up_done,
	    scratch + head_len, (size_t)u->load->up);
	u->up_done += u->load->up;
	u->down_end = u->down_done + u->load->down;
	u->under_way = true;
	u->began_us = fleet_now_us();
	if (uv_try_write((uv_stream_t *)&u->tcp, &buf, 1) != (int)len)
		fail(u, "the request could not be written");
}

static void on_timer(uv_timer_t *timer);

/*
 * Wait for the next one's time. libuv counts in milliseconds, so that a single
 * one can be that much off, but the rate is kept.
 */
static void wait_for_turn(struct user *u)
{
	uint64_t now_us = fleet_now_us();

	while (u->due_us + u->load->pause_us <= now_us) {
		u->due_us += u->load->pause_us;
		u->ops->on_missed(u->ctx, u);
	}
	uv_timer_start(&u->timer, on_timer, u->due_us > now_us ?
	    (u->due_us - now_us + 500) / 1000 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct user *u = timer->data;

	u->due_us += u->load->pause_us;
	if (u->connected) {
		send_request(u, 0);
		return;
	}
	user_poll(u);
	if (!u->connecting)
		fail(u, "the tunnel is not up");
}

static void transaction_done(struct user *u)
{
	u->under_way = false;
	if (!u->ready) {
		u->ready = true;
		u->ops->on_ready(u->ctx, u);
		return;
	}
	u->ops->on_done(u->ctx, u, fleet_now_us() - u->began_us);
	if (u->over)
		return;
	if (u->load->pause_us == 0)
		send_request(u, 0);
	else
		wait_for_turn(u);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init((char *)scratch, sizeof(scratch));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct user *u = stream->data;
	size_t len = (size_t)n;

	if (n == 0)
		return;
	if (n < 0) {
		fail(u, uv_strerror((int)n));
		return;
	}
	if (!u->under_way || len > u->down_end - u->down_done ||
	    pattern_check(script_seed_down(&u->script), u->down_done,
	    (const uint8_t *)buf->base, len) != len) {
		fail(u, "wrong bytes have come");
		return;
	}
	u->down_done += len;
	if (u->down_done == u->down_end)
		transaction_done(u);
}

/* ---- the connection --------------------------------------------------- */

static void on_connected(uv_connect_t *req, int status)
{
	struct user *u = req->data;

	if (status == UV_ECANCELED)
		return;
	if (status == 0)
		status = uv_read_start((uv_stream_t *)&u->tcp, on_alloc,
		    on_read);
	if (status != 0) {
		fail(u, uv_strerror(status));
		return;
	}
	uv_tcp_nodelay(&u->tcp, 1);
	u->connected = true;
	send_request(u, script_encode(&u->script, NULL, scratch));
}

void user_poll(struct user *u)
{
	struct sockaddr_storage addr;
	struct tunnel_info info;
	struct net_host host;
	const char *server;
	char why[CONF_WHY_MAX];
	int rc;

	if (u->connecting || u->over || u->resting)
		return;
	tunnel_get_info(u->tunnel, &info);
	if (!info.up)
		return;
	u->connecting = true;
	rc = net_host_parse(tunnel_listener(u->tunnel, 0, &server), 0, false,
	    &host, why, sizeof(why));
	if (rc == 0)
		rc = net_host_literal(&host, &addr);
	if (rc == 0)
		rc = uv_tcp_connect(&u->connect, &u->tcp,
		    (const struct sockaddr *)&addr, on_connected);
	if (rc != 0)
		fail(u, "no connection to the listener");
}

/* ---- life ------------------------------------------------------------- */

static void on_stopped(void *ctx)
{
	struct user *u = ctx;

	u->ops->on_stopped(u->ctx, u);
}

static const struct tunnel_ops tunnel_ops = { .on_stopped = on_stopped };

int user_new(struct user **out, uv_loop_t *loop, const struct setup *setup,
    const struct noise_keys *device, const struct user_load *load,
    uint64_t seed, const struct user_ops *ops, void *ctx)
{
	struct user *u = calloc(1, sizeof(*u));
	char why[CONF_WHY_MAX];
	int rc;

	if (u == NULL)
		return ERR_NOMEM;
	u->loop = loop;
	u->load = load;
	u->ops = ops;
	u->ctx = ctx;
	u->script = (struct script){
		.scenario = SCRIPT_PINGPONG,
		.up = load->up,
		.down = load->down,
		.seed = seed,
		.stall_after = SCRIPT_NO_STALL,
	};
	rc = tunnel_new(&u->tunnel, loop, setup, device, &tunnel_ops, u, why);
	if (rc != 0) {
		fprintf(stderr, "fleet: %s\n", why);
		free(u);
		return rc;
	}
	uv_timer_init(loop, &u->timer);
	uv_tcp_init(loop, &u->tcp);
	u->open_handles = 2;
	u->timer.data = u;
	u->tcp.data = u;
	u->connect.data = u;
	*out = u;
	return 0;
}

static void on_rested(uv_handle_t *handle)
{
	struct user *u = handle->data;

	u->closing = false;
	if (--u->open_handles == 0)	/* user_free came in between */
		free(u);
}

void user_rest(struct user *u)
{
	if (u->over || !u->connected)
		return;
	u->resting = true;
	u->closing = true;
	uv_close((uv_handle_t *)&u->tcp, on_rested);
}

/* What follows comes by another connection, with patterns of its own. */
static void end_rest(struct user *u)
{
	u->resting = false;
	u->connecting = u->connected = false;
	u->up_done = u->down_done = 0;
	uv_tcp_init(u->loop, &u->tcp);
	u->tcp.data = u;
	u->open_handles++;
}

void user_go(struct user *u, uint64_t phase_us)
{
	if (u->over)
		return;
	if (u->closing) {
		fail(u, "it has not come to rest yet");
		return;
	}
	if (u->resting)
		end_rest(u);
	if (u->load->pause_us == 0 && !u->connected) {
		user_poll(u);
		return;
	}
	if (u->load->pause_us == 0) {
		send_request(u, 0);
		return;
	}
	u->due_us = fleet_now_us() + phase_us;
	wait_for_turn(u);
}

void user_stop(struct user *u)
{
	u->over = true;
	uv_timer_stop(&u->timer);
	tunnel_stop(u->tunnel);
}

static void on_closed(uv_handle_t *handle)
{
	struct user *u = handle->data;

	if (--u->open_handles == 0)
		free(u);
}

void user_free(struct user *u)
{
	tunnel_free(u->tunnel);
	uv_close((uv_handle_t *)&u->timer, on_closed);
	if (!u->resting)
		uv_close((uv_handle_t *)&u->tcp, on_closed);
}
