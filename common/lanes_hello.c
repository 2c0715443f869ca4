/* The client's handshakes: the first, those that resume, those that rekey. */
#include "config.h"

#include "common/lanes_impl.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

#define WARM_CONNECTIONS 3u

/* A device that is not let in asks again this much less often. */
#define DENIED_FACTOR 4u

static void on_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	(void)ctx;	/* nothing inside is reachable from the gateway */
	(void)name;
	(void)name_len;
	stream_reset(st, STREAM_NOT_ALLOWED);
}

static void on_wake(void *ctx)
{
	struct lanes *l = ctx;

	l->ops->on_wake(l->ctx);
}

static void on_close(void *ctx, uint64_t code, const char *text)
{
	struct lanes *l = ctx;

	l->session_over = true;
	l->close_code = code;
	snprintf(l->why, sizeof(l->why), "the gateway ended the session: %s",
	    text);
	l->ops->on_wake(l->ctx);
}

static const struct session_ops session_ops = { on_open, on_wake, on_close };

void lanes_wait(struct lanes *l, uint64_t now_ms)
{
	l->retry_ms = now_ms +
	    backoff_next(&l->backoff, l->ops->random(l->ctx));
}

static void new_id(struct lanes *l)
{
	for (size_t i = 0; i < RECORD_ID_LEN; i += 4) {
		uint32_t r = l->ops->random(l->ctx);

		memcpy(l->cfg.id + i, &r, 4);
	}
	l->generation = l->keyed = 0;
}

static void drop_session(struct lanes *l)
{
	lanes_cancel_all(l);
	for (unsigned i = 0; i < SESSION_LANES; i++)
		l->slot[i].restart = false;
	if (l->session != NULL) {
		session_close_streams(l->session, STREAM_SESSION_LOST);
		session_free(l->session);
		l->session = NULL;
	}
	l->session_over = false;
}

void lanes_discard(struct lanes *l)
{
	drop_session(l);
	new_id(l);
	l->need_hello = true;
}

/*
 * The number of the next handshake. A night without a network takes thousands;
 * so that they do not use the session up, the second half of the numbers is
 * only for those that were answered.
 */
static uint16_t next_generation(struct lanes *l)
{
	if (l->generation >= HELLO_GENERATION_MAX / 2 &&
	    l->generation != l->keyed)
		return l->generation;
	if (l->generation == HELLO_GENERATION_MAX)
		lanes_discard(l);
	return ++l->generation;
}

void lanes_greet(struct lanes *l, uint64_t now_ms)
{
	struct slot *s = &l->slot[LANES_HELLO];
	struct hello h = {
		.initial_window = l->cfg.session.initial_window,
		.max_streams = l->cfg.session.max_streams,
	};

	h.generation = next_generation(l);
	snprintf(h.agent, sizeof(h.agent), "%s/%s", PACKAGE_NAME,
	    PACKAGE_VERSION);
	if (lanes_body(s, HELLO_MAX) != 0 ||
	    hello_start(&l->hello, &l->cfg.device, l->cfg.gateway, l->cfg.id,
	    &h, s->body, &s->body_len) != 0) {
		lanes_set_state(l, LANES_DOWN, "cannot make a handshake");
		lanes_wait(l, now_ms);
		return;
	}
	s->hold_ms = 0;
	l->stats.hellos++;
	lanes_post(l, LANES_HELLO, now_ms);
}

/* Under which keys, and with which limits, the session goes on. */
static int enter(struct lanes *l, const struct hello_answer *a,
    const struct hello_keys *k)
{
	int rc;

	if (a->status == HELLO_RESUMED && l->session == NULL)
		return ERR_STATE;
	if (a->status == HELLO_CREATED)
		drop_session(l);
	if (l->session == NULL) {
		rc = session_new(&l->session, l->cfg.id, &l->cfg.session,
		    &session_ops, l);
		if (rc != 0)
			return rc;
		l->stats.sessions++;
	}
	rc = session_keys(l->session, l->generation, k->from_client,
	    k->from_gateway, true);
	if (rc != 0)
		return rc;
	session_peer(l->session, a->initial_window, a->max_streams);
	session_ping(l->session);
	lanes_set_hold_max(l, a->hold_max_ms);
	lanes_set_http2_window(l, a->http2_window);
	lanes_set_open_max(l, a->open_request_max);
	lanes_set_query_max(l, a->query_max);
	return 0;
}

static void welcome(struct lanes *l, const struct hello_answer *a,
    const struct hello_keys *k, uint64_t now_ms)
{
	unsigned warm = l->http2 ? 1 : WARM_CONNECTIONS;

	if (enter(l, a, k) != 0) {
		lanes_discard(l);
		lanes_set_state(l, LANES_DOWN, "the session could not be set up");
		lanes_wait(l, now_ms);
		return;
	}
	l->keyed = l->generation;
	l->hello_ms = l->alive_ms = now_ms;
	l->hello_silences = 0;
	l->doubting = false;
	l->linger_ms = a->linger_ms;
	/*
	 * On HTTP/1.1 several at once make several warm connections: one for
	 * the request that is held, one for the next question, one for a
	 * connection of Notes' that ends or begins meanwhile.
	 */
	for (unsigned i = 0; l->need_hello && i < warm; i++)
		l->slot[i].restart = true;
	l->need_hello = false;
	l->rounds = 0;
	l->retry_ms = 0;	/* the back-off goes on until records pass */
	if (a->status == HELLO_CREATED)
		l->why[0] = '\0';	/* worth telling, up as it was before */
	lanes_set_state(l, LANES_UP, a->status == HELLO_RESUMED ?
	    "session resumed" : "session created");
}

static void refused(struct lanes *l, enum hello_status status,
    uint64_t now_ms)
{
	char why[160];

	snprintf(why, sizeof(why), "the gateway refused this device: %s",
	    hello_status_text(status));
	if (l->session != NULL)
		lanes_discard(l);
	lanes_set_state(l, LANES_DOWN, why);
	lanes_wait(l, now_ms);
	if (status != HELLO_BUSY)
		l->retry_ms += (uint64_t)DENIED_FACTOR * l->cfg.retry_max_ms;
}

/* No answer that could be believed: say what came instead. */
static void unanswered(struct lanes *l, enum lanes_result result,
    unsigned status, const char *detail, uint64_t now_ms)
{
	char why[256];

	lanes_wait(l, now_ms);
	if (!l->need_hello)	/* only for fresh keys: the old ones go on */
		return;
	/* Nothing is lost by another id, and the old one may be taken. */
	if (result == LANES_STATUS && status == 404 &&
	    (l->session == NULL || now_ms - l->alive_ms > l->linger_ms))
		lanes_discard(l);
	if (result == LANES_FAILED)
		snprintf(why, sizeof(why), "%s", detail);
	else if (result == LANES_STATUS && status == 404)
		snprintf(why, sizeof(why), "no gateway of ours answers there "
		    "(HTTP 404): check the url, and the gateway's key");
	else if (result == LANES_STATUS && status >= 502 && status <= 504)
		snprintf(why, sizeof(why), "the web server is there, but the "
		    "gateway behind it is not (HTTP %u)", status);
	else if (result == LANES_STATUS)
		snprintf(why, sizeof(why), "something between here and the "
		    "gateway answered HTTP %u", status);
	else
		snprintf(why, sizeof(why), "something else answered in the "
		    "gateway's place: a captive portal or a proxy?");
	if (l->rounds++ == 0)
		l->failing_ms = now_ms;
	/* As with other exchanges, as long as there is a session. */
	if (l->session == NULL || l->state == LANES_DOWN ||
	    now_ms - l->failing_ms >= LANES_DOWN_MS)
		lanes_set_state(l, LANES_DOWN, why);
}

void lanes_hello_ended(struct lanes *l, enum lanes_result result,
    unsigned status, const char *detail, uint64_t now_ms)
{
	struct slot *s = &l->slot[LANES_HELLO];
	struct hello_answer a;
	struct hello_keys k = { 0 };
	size_t whole;
	int rc = ERR_PROTO;

	if (result == LANES_DONE && !s->bad &&
	    hello_peek(HELLO_ANSWER_MARK, s->part, s->part_len, &whole) == 0 &&
	    whole == s->part_len)
		rc = hello_finish(l->hello, s->part, s->part_len, &a, &k);
	noise_free(l->hello);
	l->hello = NULL;
	if (rc != 0)
		unanswered(l, result, status, detail, now_ms);
	else if (a.status == HELLO_CREATED || a.status == HELLO_RESUMED)
		welcome(l, &a, &k, now_ms);
	else
		refused(l, a.status, now_ms);
	crypto_wipe(&k, sizeof(k));
}
