/* The response on its way from the gateway to the client. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/exchange_impl.h"
#include "tests/support/mischief.h"
#include "tests/support/visit.h"

#define KEEP_MAX (8u << 20)	/* of a response that is buffered */
#define PASS_MAX (256u << 10)	/* of one that is passed on */
#define COPY_MAX 65536u		/* of a response that is repeated */

static void on_open(uv_timer_t *timer)
{
	struct exchange *x = timer->data;

	x->response.shut = false;
	exchange_pump_response(x);
}

void exchange_hold_response(struct exchange *x, uint64_t ms)
{
	way_shut(&x->response, on_open, ms);
}

/* For the client, here and in its connection. */
static size_t waiting(const struct exchange *x)
{
	return way_waiting(&x->response) + visit_queued(x->visit);
}

/* Keep the beginning of what the client gets, to send it again. */
static void keep_copy(struct exchange *x, const uint8_t *data, size_t len)
{
	size_t room = COPY_MAX - x->copy_len;

	if (x->plan.fault != FAULT_REPEAT_RESPONSE || len == 0)
		return;
	if (x->copy == NULL && (x->copy = malloc(COPY_MAX)) == NULL)
		abort();
	if (len > room)
		len = room;
	memcpy(x->copy + x->copy_len, data, len);
	x->copy_len += len;
}

static void finish(struct exchange *x)
{
	if (x->plan.fault == FAULT_REPEAT_RESPONSE && x->copy_len > 0) {
		plans_count(&x->m->plans, &x->plan, x->response.done);
		visit_send(x->visit, x->copy, x->copy_len);
	}
	/* What was truncated may still be coming. */
	visit_done(x->visit, x->close || !exchange_is_whole(x), x->idle_early);
}

/* A fault behind the end of a short response hits its last part instead. */
static void bring_stop_near(struct exchange *x)
{
	struct way *w = &x->response;
	uint64_t left = way_waiting(w);

	if (x->complete && left > 0 && w->stop != WAY_NOWHERE &&
	    w->stop >= w->done + left)
		w->stop = w->done + (uint64_t)(x->plan.share * (double)left);
}

void exchange_pump_response(struct exchange *x)
{
	struct way *w = &x->response;
	size_t n;

	if (w->shut || (x->plan.quirk[QUIRK_BUFFER_RESPONSE] &&
	    !x->complete && way_waiting(w) < KEEP_MAX))
		return;
	bring_stop_near(x);
	n = way_passable(w);
	keep_copy(x, w->bytes + w->start, n);
	visit_send(x->visit, w->bytes + w->start, n);
	way_passed(w, n);
	if (w->done == w->stop) {
		if (x->plan.fault == FAULT_CUT_RESPONSE) {
			exchange_cut(x, w->done);
			return;
		}
		plans_count(&x->m->plans, &x->plan, w->done);
		w->stop = WAY_NOWHERE;
		exchange_hold_response(x, x->plan.stall_ms);
	}
	if (x->complete && w->start == w->len)
		finish(x);
	else if (x->gateway != NULL && waiting(x) < PASS_MAX)
		conn_read(x->gateway, true);
}

void exchange_go_on(struct exchange *x)
{
	if (x->gateway != NULL && !x->response.shut &&
	    waiting(x) < PASS_MAX)
		conn_read(x->gateway, true);
}

void exchange_answer(struct exchange *x, const char *status,
    const char *text)
{
	char head[256];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\n"
	    "Content-Type: text/html\r\nContent-Length: %zu\r\n%s\r\n",
	    status, strlen(text), x->close || !exchange_is_whole(x) ?
	    "Connection: close\r\n" : "");
	way_add_text(&x->response, head);
	way_add_text(&x->response, text);
	x->complete = true;
	x->response.stop = WAY_NOWHERE;
	exchange_pump_response(x);
}

static void write_response_head(struct exchange *x)
{
	const char *head = (const char *)x->head;
	struct way *w = &x->response;
	uint64_t len = x->body.left < x->body_left ? x->body.left :
	    x->body_left;
	char text[64];

	exchange_copy_lines(w, head, x->head_len,
	    exchange_has_quirk(x, QUIRK_STRIP_RESPONSE));
	if (x->body.framing == HTTP_LENGTH) {
		snprintf(text, sizeof(text), "Content-Length: %" PRIu64 "\r\n",
		    len);
		way_add_text(w, text);
	} else {
		way_add_text(w, "Transfer-Encoding: chunked\r\n");
	}
	way_add_text(w, x->close ? "Connection: close\r\n\r\n" : "\r\n");
	(void)exchange_has_quirk(x, QUIRK_BUFFER_RESPONSE);
}

/* The last of the response has come; the gateway is done with. */
static void complete(struct exchange *x)
{
	if (x->complete)
		return;
	x->complete = true;
	if (x->body.framing != HTTP_LENGTH)
		way_add_text(&x->response, "0\r\n\r\n");
	conn_close(x->gateway, false);
	x->gateway = NULL;
}

static void add_content(struct exchange *x, const uint8_t *data, size_t len)
{
	char text[32];
	bool truncated = len > x->body_left;

	if (truncated)
		len = (size_t)x->body_left;
	if (x->body_left != WAY_NOWHERE)
		x->body_left -= len;
	if (len > 0 && x->body.framing != HTTP_LENGTH) {
		snprintf(text, sizeof(text), "%zx\r\n", len);
		way_add_text(&x->response, text);
	}
	way_add(&x->response, data, len);
	if (len > 0 && x->body.framing != HTTP_LENGTH)
		way_add_text(&x->response, "\r\n");
	if (truncated) {
		plans_count(&x->m->plans, &x->plan, x->plan.at);
		complete(x);
	}
}

/* Take the head off data. Returns the bytes used, -1 for nonsense. */
static ssize_t take_head(struct exchange *x, const uint8_t *data, size_t len)
{
	size_t before = x->head_len, n = sizeof(x->head) - before;
	ssize_t head_len;

	if (n > len)
		n = len;
	memcpy(x->head + before, data, n);
	x->head_len += n;
	head_len = http_head_len(x->head, x->head_len);
	if (head_len <= 0)
		return head_len < 0 ? -1 : (ssize_t)n;
	x->head_len = (size_t)head_len;
	if (http_status((char *)x->head, x->head_len) == 0 ||
	    http_body_begin(&x->body, (char *)x->head, x->head_len, true) != 0)
		return -1;
	x->answered = true;
	write_response_head(x);
	if (x->body.over)
		complete(x);
	return head_len - (ssize_t)before;
}

static ssize_t take_some(struct exchange *x, const uint8_t *data, size_t len)
{
	const uint8_t *piece;
	size_t piece_len;
	ssize_t n;

	if (!x->answered)
		return take_head(x, data, len);
	n = http_body_take(&x->body, data, len, &piece, &piece_len);
	if (n < 0)
		return -1;
	if (piece_len > 0)
		add_content(x, piece, piece_len);
	if (x->body.over)
		complete(x);
	return n;
}

static void on_gateway_data(void *user, const uint8_t *data, size_t len)
{
	struct exchange *x = user;
	ssize_t n;

	while (len > 0 && !x->complete) {
		n = take_some(x, data, len);
		if (n < 0) {
			x->m->gateway_failures++;
			visit_cut(x->visit, true);
			return;
		}
		data += n;
		len -= (size_t)n;
	}
	if (x->gateway != NULL && waiting(x) >=
	    (x->plan.quirk[QUIRK_BUFFER_RESPONSE] ? KEEP_MAX : PASS_MAX))
		conn_read(x->gateway, false);
	exchange_pump_response(x);
}

static void on_gateway_end(void *user, bool failed)
{
	struct exchange *x = user;

	conn_close(x->gateway, false);
	x->gateway = NULL;
	if (x->answered && x->body.framing == HTTP_UNTIL_END && !failed) {
		complete(x);
		exchange_pump_response(x);
		return;
	}
	x->m->gateway_failures++;
	if (x->response.done > 0 || x->answered) {
		visit_cut(x->visit, false);
		return;
	}
	exchange_answer(x, "502 Bad Gateway", "<h1>It has gone</h1>\n");
}

static void on_gateway_drained(void *user)
{
	(void)user;
}

const struct conn_ops exchange_gateway_ops = {
	.on_data = on_gateway_data,
	.on_end = on_gateway_end,
	.on_drained = on_gateway_drained
};
