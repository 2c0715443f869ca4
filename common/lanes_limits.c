/*
 * What the path, the web server and the gateway let through: how large a body
 * may be, and for how long a request may be held.
 */
#include "config.h"

#include "common/crypto.h"
#include "common/lanes_impl.h"

#define HOLD_FIRST_MS 25000u	/* what any path is taken to allow */
#define HOLD_LEAST_MS 1000u	/* no gateway holds for less */
#define HOLD_MIN_MS 3000u	/* a shorter cut says nothing about holding */
#define PATIENCE_MAX 16u	/* good holds before a longer one is tried */
#define RENEW_MS 1000u		/* before a hold is over, the next begins */
#define HTTP2_WINDOW 65536u	/* of a web server, RFC 9113, section 6.9.2 */
#define HTTP2_WINDOW_MAX (1u << 30)
#define WINDOW_SPARE 4096u	/* of it, left alone */
#define QUERY_FAILURES 3u	/* in a row, and none that went well */

/* ---- the body --------------------------------------------------------- */

/*
 * A body that does not fit into the web server's window on HTTP/2 waits for a
 * round trip in the middle.
 */
static uint32_t body_most(const struct lanes *l)
{
	uint32_t fits = l->http2_window - WINDOW_SPARE;

	if (!l->http2)
		return l->cfg.body_max;
	return fits < l->cfg.body_max_h2 ? fits : l->cfg.body_max_h2;
}

void lanes_set_http2(struct lanes *l, bool http2)
{
	if (l->body_max != 0 && l->http2 == http2)
		return;
	l->http2 = http2;
	l->body_max = body_most(l);
}

void lanes_set_http2_window(struct lanes *l, uint64_t window)
{
	if (window < HTTP2_WINDOW)
		window = HTTP2_WINDOW;
	if (window > HTTP2_WINDOW_MAX)
		window = HTTP2_WINDOW_MAX;
	if (window == l->http2_window)
		return;
	l->http2_window = (uint32_t)window;
	if (l->http2)
		l->body_max = body_most(l);
}

void lanes_set_open_max(struct lanes *l, uint64_t most)
{
	if (most > 0 && most < LANES_BODY_MIN)
		most = LANES_BODY_MIN;
	if (most > l->cfg.body_max_open)
		most = l->cfg.body_max_open;
	l->open_most = l->open_max = (uint32_t)most;
}

bool lanes_too_large(struct lanes *l, const struct slot *s,
    unsigned status, uint64_t now_ms)
{
	uint32_t half = (uint32_t)(s->body_len / 2);

	if (s->body_len <= LANES_BODY_MIN || (status != 413 && status != 404))
		return false;
	/* The gateway's own 404 is followed by a hello; then it knows us. */
	if (status == 404 && now_ms - l->hello_ms >= HELLO_AGAIN_MS)
		return false;
	if (half < LANES_BODY_MIN)
		half = LANES_BODY_MIN;
	*(s->streamed ? &l->open_max : &l->body_max) = half;
	return status == 413;
}

/* ---- the query -------------------------------------------------------- */

void lanes_set_query_max(struct lanes *l, uint64_t most)
{
	if (l->ops->query == NULL)
		most = 0;
	if (most > CRYPTO_BASE64_MAX)
		most = CRYPTO_BASE64_MAX;
	if (most == l->query_most)
		return;		/* what was learned still counts */
	l->query_most = l->query_max = (uint32_t)most;
}

bool lanes_query_refused(struct lanes *l, const struct slot *s,
    enum lanes_result result, unsigned status)
{
	bool certain = result == LANES_STATUS && status >= 400 &&
	    status < 500 && status != 404;

	if (!s->query || l->query_max == 0)
		return false;
	if (certain || ++l->query_failures >= QUERY_FAILURES)
		l->query_max = 0;
	return certain;
}

/* ---- the hold --------------------------------------------------------- */

static void hold_anew(struct lanes *l)
{
	l->hold_ms = l->hold_most < HOLD_FIRST_MS ? l->hold_most :
	    HOLD_FIRST_MS;
	l->short_holds = l->good_holds = 0;
	l->hold_patience = 1;
}

void lanes_set_hold_max(struct lanes *l, uint64_t most_ms)
{
	if (most_ms < HOLD_LEAST_MS)
		most_ms = HOLD_LEAST_MS;
	l->hold_most = most_ms < l->cfg.hold_ms ? (uint32_t)most_ms :
	    l->cfg.hold_ms;
	if (l->hold_ms > l->hold_most)
		l->hold_ms = l->hold_most;
}

uint32_t lanes_renew_after(uint32_t hold_ms)
{
	uint32_t tenth = hold_ms / 10;

	return hold_ms - (tenth < RENEW_MS ? tenth : RENEW_MS);
}

void lanes_learn_hold(struct lanes *l, const struct slot *s,
    bool good, bool certain, uint64_t now_ms)
{
	uint64_t waited = now_ms - s->start_ms, hold = l->hold_ms;

	if (s->hold_ms == 0 || s->answered != good)
		return;
	if (good) {
		l->short_holds = 0;
		if (waited < lanes_renew_after(l->hold_ms) ||
		    ++l->good_holds < l->hold_patience)
			return;
		l->good_holds = 0;
		hold += hold / 4;
		l->hold_ms = hold < l->hold_most ? (uint32_t)hold :
		    l->hold_most;
		return;
	}
	/* Cut early it says nothing; cut late it was not the holding. */
	if (waited < HOLD_MIN_MS || waited > hold + l->cfg.silence_ms)
		return;
	/* One cut may be anything; two in a row are the path's limit. */
	if (++l->short_holds < (certain ? 1u : 2u))
		return;
	l->short_holds = 0;
	l->good_holds = 0;
	if (l->hold_patience < PATIENCE_MAX)
		l->hold_patience *= 2;
	hold = (waited < hold ? waited : hold) * 4 / 5;
	l->hold_ms = (uint32_t)(hold > HOLD_MIN_MS ? hold : HOLD_MIN_MS);
}

/* ---- both -------------------------------------------------------------- */

void lanes_limits_forget(struct lanes *l)
{
	hold_anew(l);
	l->open_max = l->open_most;
	l->query_max = l->query_most;
	l->query_failures = 0;
	l->body_max = 0;
	lanes_set_http2(l, l->http2);
}

void lanes_limits_init(struct lanes *l)
{
	l->hold_most = l->cfg.hold_ms;
	l->http2_window = HTTP2_WINDOW;
	lanes_limits_forget(l);
}
