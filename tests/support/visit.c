#include "config.h"

#include "tests/support/visit.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/conn.h"
#include "tests/support/exchange.h"
#include "tests/support/mischief.h"

#define EARLY_MS 50u		/* an idle connection that is closed early */

struct visit {
	struct mischief *m;
	struct visit *next, **link;
	struct conn *conn;
	struct exchange *exchange;	/* the one under way */
	uv_timer_t idle;
	bool reading;		/* in use_bytes: do not enter it again */
	bool gone;
	size_t in_len;
	uint8_t *in;		/* MISCHIEF_REQUEST_MAX: not taken yet */
};

static void on_idle_closed(uv_handle_t *handle)
{
	struct visit *v = handle->data;

	free(v->in);
	free(v);
}

/* Whoever called has let go of the connection. */
static void leave(struct visit *v)
{
	struct exchange *x = v->exchange;

	v->exchange = NULL;
	v->gone = true;
	exchange_free(x);
	*v->link = v->next;
	if (v->next != NULL)
		v->next->link = v->link;
	v->m->visit_count--;
	uv_close((uv_handle_t *)&v->idle, on_idle_closed);
}

void visit_cut(struct visit *v, bool reset)
{
	conn_close(v->conn, reset);
	leave(v);
}

static void on_idle(uv_timer_t *timer)
{
	visit_cut(timer->data, false);
}

static void wait_for_request(struct visit *v, bool idle_early)
{
	uv_timer_start(&v->idle, on_idle, idle_early ? EARLY_MS :
	    v->m->idle_ms, 0);
}

/* A head is there: an exchange begins. 0, or -1: not yet, or nonsense. */
static int begin(struct visit *v)
{
	ssize_t n = http_head_len(v->in, v->in_len);

	if (n == 0)
		return -1;
	if (n > 0)
		v->exchange = exchange_new(v->m, v, (const char *)v->in,
		    (size_t)n);
	if (v->exchange == NULL) {
		visit_cut(v, true);
		return -1;
	}
	uv_timer_stop(&v->idle);
	v->in_len -= (size_t)n;
	memmove(v->in, v->in + n, v->in_len);
	return 0;
}

/* Let exchanges take what has come. */
static void use_bytes(struct visit *v)
{
	struct exchange *x;
	size_t n;

	v->reading = true;
	while (!v->gone && (v->exchange != NULL || begin(v) == 0)) {
		x = v->exchange;
		n = exchange_wants(x);
		if (n > v->in_len)
			n = v->in_len;
		exchange_take(x, v->in, n);	/* may end it, and the visit */
		v->in_len -= n;
		memmove(v->in, v->in + n, v->in_len);
		if (v->exchange == x)
			break;
	}
	v->reading = false;
}

static void on_data(void *user, const uint8_t *data, size_t len)
{
	struct visit *v = user;

	if (len > MISCHIEF_REQUEST_MAX - v->in_len) {
		visit_cut(v, true);
		return;
	}
	memcpy(v->in + v->in_len, data, len);
	v->in_len += len;
	use_bytes(v);
}

static void on_end(void *user, bool failed)
{
	struct visit *v = user;

	(void)failed;
	visit_cut(v, false);
}

static void on_drained(void *user)
{
	struct visit *v = user;

	if (v->exchange != NULL)
		exchange_go_on(v->exchange);
}

static const struct conn_ops ops = {
	.on_data = on_data,
	.on_end = on_end,
	.on_drained = on_drained
};

void visit_accept(struct mischief *m, uv_stream_t *listener)
{
	struct visit *v = calloc(1, sizeof(*v));

	if (v == NULL || (v->in = malloc(MISCHIEF_REQUEST_MAX)) == NULL)
		abort();
	v->m = m;
	v->conn = conn_accept(listener, &ops, v);
	if (v->conn == NULL || m->visit_count >= MISCHIEF_CLIENTS_MAX) {
		m->refused++;
		conn_close(v->conn, true);
		free(v->in);
		free(v);
		return;
	}
	v->next = m->visits;
	v->link = &m->visits;
	if (v->next != NULL)
		v->next->link = &v->next;
	m->visits = v;
	m->visit_count++;
	m->connections++;
	uv_timer_init(&m->loop, &v->idle);
	v->idle.data = v;
	wait_for_request(v, false);
}

void visit_send(struct visit *v, const void *data, size_t len)
{
	conn_send(v->conn, data, len);
}

size_t visit_queued(const struct visit *v)
{
	return conn_queued(v->conn);
}

void visit_done(struct visit *v, bool close, bool idle_early)
{
	exchange_free(v->exchange);
	v->exchange = NULL;
	if (close) {
		conn_finish(v->conn);
		leave(v);
		return;
	}
	wait_for_request(v, idle_early);
	if (!v->reading)
		use_bytes(v);
}

void visit_cut_all(struct mischief *m)
{
	while (m->visits != NULL)
		visit_cut(m->visits, true);
}
