/* A request on its way to the gateway, and what is done in its place. */
#include "config.h"

#include "tests/support/exchange_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/mischief.h"
#include "tests/support/repeat.h"
#include "tests/support/visit.h"

#define LARGE 6144u		/* a request for 413 is larger */
#define PORTAL "<html><head><title>Welcome</title></head><body>Please " \
	"accept our terms to use this network.</body></html>\n"

static void pump_request(struct exchange *x);

static void on_request_open(uv_timer_t *timer)
{
	struct exchange *x = timer->data;

	x->request.shut = false;
	pump_request(x);
}

/* ---- beginning and end ------------------------------------------------ */

bool exchange_has_quirk(struct exchange *x, enum quirk quirk)
{
	if (x->plan.quirk[quirk])
		plans_count_quirk(&x->m->plans, quirk);
	return x->plan.quirk[quirk];
}

/* Lines that belong to one connection or one framing alone. */
static bool is_hop(const char *line, size_t len)
{
	static const char *const names[] = { "Connection", "Keep-Alive",
		"Content-Length", "Transfer-Encoding", "Expect" };
	size_t value_len;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (http_value(line, len, names[i], &value_len) != NULL)
			return true;
	return false;
}

void exchange_copy_lines(struct way *w, const char *head, size_t head_len,
    bool strip)
{
	size_t at = 0, len, value_len;
	const char *line;

	for (bool first = true; http_line(head, head_len, &at, &line, &len);
	    first = false) {
		if (!first && (is_hop(line, len) || (strip &&
		    http_value(line, len, "Host", &value_len) == NULL)))
			continue;
		way_add(w, line, len);
		way_add_text(w, "\r\n");
	}
}

/* The request as the gateway will see it; perhaps it never sees the end. */
static void write_request(struct exchange *x, const char *head,
    size_t head_len)
{
	char text[80];

	x->keep = x->wanted;
	if (x->plan.fault == FAULT_TRUNCATE_REQUEST && x->wanted > 0) {
		x->keep = (uint64_t)(x->plan.share * (double)x->wanted);
		plans_count(&x->m->plans, &x->plan, x->keep);
	}
	exchange_copy_lines(&x->request, head, head_len,
	    exchange_has_quirk(x, QUIRK_STRIP_REQUEST));
	snprintf(text, sizeof(text), "Content-Length: %" PRIu64 "\r\n"
	    "Connection: close\r\n\r\n", x->keep);
	way_add_text(&x->request, text);
	x->request.stop = WAY_NOWHERE;
	if (x->plan.fault == FAULT_CUT_REQUEST ||
	    x->plan.fault == FAULT_STALL_REQUEST)
		x->request.stop = (uint64_t)(x->plan.share *
		    (double)(x->request.len + x->keep));
}

static void init_timer(struct exchange *x, uv_timer_t *timer)
{
	uv_timer_init(&x->m->loop, timer);
	timer->data = x;
	x->handles++;
}

struct exchange *exchange_new(struct mischief *m, struct visit *v,
    const char *head, size_t head_len)
{
	struct exchange *x;
	struct http_body body;

	if (http_body_begin(&body, head, head_len, false) != 0 ||
	    body.framing != HTTP_LENGTH || body.left > MISCHIEF_BODY_MAX)
		return NULL;
	x = calloc(1, sizeof(*x));
	if (x == NULL)
		abort();
	x->m = m;
	x->visit = v;
	x->wanted = body.left;
	plans_draw(&m->plans, &x->plan);
	init_timer(x, &x->timer);
	init_timer(x, &x->request.timer);
	init_timer(x, &x->response.timer);
	write_request(x, head, head_len);
	x->response.stop = WAY_NOWHERE;
	if (x->plan.fault == FAULT_CUT_RESPONSE ||
	    x->plan.fault == FAULT_STALL_RESPONSE)
		x->response.stop = x->plan.at;
	x->body_left = x->plan.fault == FAULT_TRUNCATE_RESPONSE ?
	    x->plan.at : WAY_NOWHERE;
	x->close = exchange_has_quirk(x, QUIRK_CLOSE) ||
	    http_has_word(head, head_len, "Connection", "close");
	x->idle_early = !x->close && exchange_has_quirk(x, QUIRK_IDLE);
	return x;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct exchange *x = handle->data;

	if (--x->handles > 0)
		return;
	free(x->request.bytes);
	free(x->response.bytes);
	free(x->copy);
	free(x);
}

void exchange_free(struct exchange *x)
{
	if (x == NULL)
		return;
	conn_close(x->gateway, x->plan.reset_gateway);
	x->visit = NULL;
	uv_close((uv_handle_t *)&x->timer, on_timer_closed);
	uv_close((uv_handle_t *)&x->request.timer, on_timer_closed);
	uv_close((uv_handle_t *)&x->response.timer, on_timer_closed);
}

void exchange_cut(struct exchange *x, uint64_t at)
{
	plans_count(&x->m->plans, &x->plan, at);
	visit_cut(x->visit, x->plan.reset_client);
}

static void on_cut(uv_timer_t *timer)
{
	struct exchange *x = timer->data;

	exchange_cut(x, x->response.done);
}

/* ---- the request ------------------------------------------------------ */

static void connect_gateway(struct exchange *x)
{
	x->gateway = conn_connect(&x->m->loop,
	    (const struct sockaddr *)&x->m->gateway,
	    mischief_source(x->m, &x->plan, &x->space),
	    &exchange_gateway_ops, x);
	if (x->gateway == NULL) {
		x->m->gateway_failures++;
		visit_cut(x->visit, false);
	}
}

/* Pass on what may be passed on. */
static void pump_request(struct exchange *x)
{
	struct way *w = &x->request;
	size_t n = way_passable(w);

	if (!x->started || w->shut)
		return;
	if (n > 0 && x->gateway == NULL) {
		connect_gateway(x);
		if (x->visit == NULL)
			return;
	}
	if (n > 0) {
		conn_send(x->gateway, w->bytes + w->start, n);
		way_passed(w, n);
	}
	if (w->done < w->stop)
		return;
	if (x->plan.fault == FAULT_CUT_REQUEST) {
		exchange_cut(x, w->done);
		return;
	}
	plans_count(&x->m->plans, &x->plan, w->done);
	w->stop = WAY_NOWHERE;
	way_shut(w, on_request_open, x->plan.stall_ms);
}

static void refuse(struct exchange *x)
{
	switch (x->plan.fault) {
	case FAULT_502:
		exchange_answer(x, "502 Bad Gateway", "<h1>502</h1>\n");
		break;
	case FAULT_503:
		exchange_answer(x, "503 Service Unavailable", "<h1>503</h1>\n");
		break;
	case FAULT_504:
		exchange_answer(x, "504 Gateway Time-out", "<h1>504</h1>\n");
		break;
	case FAULT_PORTAL:
		exchange_answer(x, "200 OK", PORTAL);
		break;
	case FAULT_413:
		exchange_answer(x, "413 Payload Too Large", "<h1>413</h1>\n");
		break;
	case FAULT_404:
		exchange_answer(x, "404 Not Found", "<h1>404</h1>\n");
		break;
	default:
		abort();	/* a mistake here */
	}
}

static void on_refuse(uv_timer_t *timer)
{
	refuse(timer->data);
}

/* In the place of the gateway, which may have seen the request. */
static void refuse_soon(struct exchange *x)
{
	plans_count(&x->m->plans, &x->plan, x->request.len);
	if (x->plan.seen)
		(void)repeat_start(x->m, &x->plan, x->request.bytes,
		    x->request.len, 0);
	if (x->plan.fault == FAULT_504)
		uv_timer_start(&x->timer, on_refuse, x->plan.wait_ms, 0);
	else
		refuse(x);
}

/* The request goes to the gateway twice. */
static void repeat(struct exchange *x)
{
	bool early = x->plan.early;

	if (!repeat_start(x->m, &x->plan, x->request.bytes, x->request.len,
	    early ? 0 : x->plan.wait_ms))
		return;
	plans_count(&x->m->plans, &x->plan, early);
	if (early)
		way_shut(&x->request, on_request_open, x->plan.delay_ms);
}

bool exchange_is_whole(const struct exchange *x)
{
	return x->wanted == 0;
}

static bool is_large(const struct exchange *x)
{
	return x->request.len + x->wanted > LARGE;
}

/* Those that pass something on need not wait for all of it. */
static bool can_start(struct exchange *x)
{
	if (exchange_is_whole(x))
		return true;
	switch (x->plan.fault) {
	case FAULT_502:
	case FAULT_503:
	case FAULT_504:
	case FAULT_PORTAL:
	case FAULT_REPEAT_REQUEST:
		return false;
	case FAULT_413:
	case FAULT_404:
		return x->plan.early && is_large(x);
	default:
		return !x->plan.quirk[QUIRK_BUFFER_REQUEST];
	}
}

static void start(struct exchange *x)
{
	x->started = true;
	switch (x->plan.fault) {
	case FAULT_413:
	case FAULT_404:
		if (!is_large(x))
			break;
		plans_count(&x->m->plans, &x->plan, x->request.len);
		refuse(x);
		return;
	case FAULT_502:
	case FAULT_503:
	case FAULT_504:
	case FAULT_PORTAL:
		refuse_soon(x);
		return;
	case FAULT_REPEAT_REQUEST:
		repeat(x);
		break;
	case FAULT_CUT_WAITING:
		uv_timer_start(&x->timer, on_cut, x->plan.wait_ms, 0);
		break;
	default:
		break;
	}
	(void)exchange_has_quirk(x, QUIRK_BUFFER_REQUEST);
	if (!x->request.shut && exchange_has_quirk(x, QUIRK_DELAY_REQUEST))
		way_shut(&x->request, on_request_open, x->plan.delay_ms);
	if (exchange_has_quirk(x, QUIRK_DELAY_RESPONSE))
		exchange_hold_response(x, x->plan.delay_ms);
	pump_request(x);
}

size_t exchange_wants(const struct exchange *x)
{
	return (size_t)x->wanted;
}

void exchange_take(struct exchange *x, const uint8_t *data, size_t len)
{
	size_t kept = len < x->keep ? len : (size_t)x->keep;

	way_add(&x->request, data, kept);
	x->keep -= kept;
	x->wanted -= len;
	if (x->started)
		pump_request(x);
	else if (can_start(x))
		start(x);
}

