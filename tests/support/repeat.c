#include "config.h"

#include "tests/support/repeat.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/conn.h"
#include "tests/support/mischief.h"

#define ANSWER_MS 60000u	/* for the gateway to answer and close */

struct repeat {
	struct mischief *m;
	struct repeat *next, **link;
	struct conn *conn;
	uv_timer_t timer;
	struct sockaddr_storage space;
	const struct sockaddr *source;
	size_t len;
	uint8_t request[];
};

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void end(struct repeat *r)
{
	conn_close(r->conn, false);
	*r->link = r->next;
	if (r->next != NULL)
		r->next->link = r->link;
	r->m->repeat_count--;
	uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

static void on_data(void *user, const uint8_t *data, size_t len)
{
	(void)user;
	(void)data;
	(void)len;
}

static void on_end(void *user, bool failed)
{
	(void)failed;
	end(user);
}

static void on_drained(void *user)
{
	(void)user;
}

static const struct conn_ops ops = {
	.on_data = on_data,
	.on_end = on_end,
	.on_drained = on_drained
};

static void on_too_long(uv_timer_t *timer)
{
	end(timer->data);
}

static void on_due(uv_timer_t *timer)
{
	struct repeat *r = timer->data;

	r->conn = conn_connect(&r->m->loop,
	    (const struct sockaddr *)&r->m->gateway, r->source, &ops, r);
	if (r->conn == NULL) {
		end(r);
		return;
	}
	conn_send(r->conn, r->request, r->len);
	uv_timer_start(&r->timer, on_too_long, ANSWER_MS, 0);
}

bool repeat_start(struct mischief *m, const struct plan *plan,
    const uint8_t *request, size_t len, uint64_t wait_ms)
{
	struct repeat *r;

	if (m->repeat_count >= MISCHIEF_REPEATS_MAX)
		return false;
	r = calloc(1, sizeof(*r) + len);
	if (r == NULL)
		abort();
	r->m = m;
	r->len = len;
	memcpy(r->request, request, len);
	r->source = mischief_source(m, plan, &r->space);
	r->next = m->repeats;
	r->link = &m->repeats;
	if (r->next != NULL)
		r->next->link = &r->next;
	m->repeats = r;
	m->repeat_count++;
	uv_timer_init(&m->loop, &r->timer);
	r->timer.data = r;
	uv_timer_start(&r->timer, on_due, wait_ms, 0);
	return true;
}

void repeat_end_all(struct mischief *m)
{
	while (m->repeats != NULL)
		end(m->repeats);
}
