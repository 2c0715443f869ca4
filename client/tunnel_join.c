/*
 * Where the engine, which knows nothing of HTTP, meets the carrier, which knows
 * nothing else; and what is said of it, in the log and for the status.
 */
#include "config.h"

#include "client/tunnel_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

/* ---- what the engine asks for ----------------------------------------- */

/* A session's path is its id; a new session gets another. */
static int refresh_url(struct tunnel *t)
{
	const uint8_t *id = lanes_id(t->lanes);
	char text[KEYFILE_ID_TEXT_LEN + 1];
	size_t size = strlen(t->setup->url) + sizeof(text) + 1;
	char *url;
	int rc;

	if (memcmp(id, t->id, sizeof(t->id)) == 0)
		return 0;
	url = malloc(size);
	if (url == NULL)
		return ERR_NOMEM;
	keyfile_id_encode(id, text);
	snprintf(url, size, "%s/%s", t->setup->url, text);
	rc = carrier_set_url(t->carrier, url);
	free(url);
	if (rc == 0)
		memcpy(t->id, id, sizeof(t->id));
	return rc;
}

static void on_post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct tunnel *t = ctx;

	/*
	 * Without memory for the URL the request goes to that of the session
	 * before, is answered 404, and repeated.
	 */
	(void)refresh_url(t);
	if (slot == LANES_HELLO)
		t->hello_ms = tunnel_now(t);
	carrier_post(t->carrier, slot, body, len, path, fresh);
}

static void on_query(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct tunnel *t = ctx;

	(void)refresh_url(t);
	carrier_query(t->carrier, slot, body, len, path, fresh);
}

static void on_open(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct tunnel *t = ctx;

	(void)refresh_url(t);
	carrier_open(t->carrier, slot, body, len, path, fresh);
}

static void on_append(void *ctx, unsigned slot, const uint8_t *data,
    size_t len)
{
	struct tunnel *t = ctx;

	carrier_append(t->carrier, slot, data, len);
}

static void on_finish(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	carrier_finish(t->carrier, slot);
}

static size_t on_unsent(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	return carrier_unsent(t->carrier, slot);
}

static uint64_t on_arrived(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	return carrier_arrived(t->carrier, slot);
}

static void on_move(void *ctx, unsigned from, unsigned to)
{
	struct tunnel *t = ctx;

	carrier_move(t->carrier, from, to);
}

static void on_cancel(void *ctx, unsigned slot)
{
	struct tunnel *t = ctx;

	carrier_cancel(t->carrier, slot);
}

uint32_t tunnel_rtt_ms(const struct tunnel *t)
{
	struct lanes_stats stats;

	lanes_get_stats(t->lanes, &stats);
	return stats.rtt_ms > 0 ? stats.rtt_ms : t->hello_rtt_ms;
}

void tunnel_log_suppressed(unsigned count)
{
	if (count > 0)
		log_info("lines suppressed count=%u", count);
}

static void log_up(struct tunnel *t, const char *why)
{
	char id[KEYFILE_ID_TEXT_LEN + 1];
	unsigned suppressed;

	if (!log_allow(&t->up_limit, tunnel_now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	keyfile_id_encode(lanes_id(t->lanes), id);
	log_info("tunnel up session=%s rtt_ms=%" PRIu32 " http=%s why=\"%s\"",
	    id, tunnel_rtt_ms(t), carrier_http_name(t->carrier), why);
	tunnel_log_suppressed(suppressed);
}

static void log_down(struct tunnel *t, const char *why)
{
	unsigned suppressed;

	if (!log_allow(&t->down_limit, tunnel_now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	log_warn("tunnel down reason=\"%s\"", why);
	tunnel_log_suppressed(suppressed);
}

static void on_state(void *ctx, enum lanes_state state, const char *why)
{
	struct tunnel *t = ctx;
	struct lanes_stats stats;

	lanes_get_stats(t->lanes, &stats);
	if (state != t->state)
		t->since_ms = tunnel_now(t);
	if (state == LANES_DOWN)
		log_down(t, why);
	else if (t->state == LANES_DOWN || stats.sessions != t->session_number)
		log_up(t, why);
	else
		log_debug("tunnel goes on why=\"%s\"", why);
	t->state = state;
	t->session_number = stats.sessions;
	snprintf(t->reason, sizeof(t->reason), "%s", why);
}

static void on_wake(void *ctx)
{
	struct tunnel *t = ctx;

	t->wake = true;
}

void tunnel_notice(struct tunnel *t, enum tunnel_noticed kind,
    const char *what)
{
	static const char *const events[] = {
		[TUNNEL_NETWORK] = "network changed",
		[TUNNEL_WAKE] = "woke up",
		[TUNNEL_SILENCE] = "path silent"
	};
	unsigned suppressed;

	t->noticed[kind]++;
	t->noticed_ms = tunnel_now(t);
	snprintf(t->noticed_what, sizeof(t->noticed_what), "%s: %s",
	    events[kind], what);
	if (!log_allow(&t->noticed_limit, tunnel_now(t), LOG_BURST, LOG_PER_MS,
	    &suppressed))
		return;
	log_info("%s what=\"%s\"", events[kind], what);
	tunnel_log_suppressed(suppressed);
}

static void on_silence(void *ctx, uint64_t silent_ms)
{
	char what[64];

	snprintf(what, sizeof(what), "nothing came for %" PRIu64 " ms",
	    silent_ms);
	tunnel_notice(ctx, TUNNEL_SILENCE, what);
}

static uint32_t on_random(void *ctx)
{
	uint32_t bits;

	(void)ctx;
	crypto_random(&bits, sizeof(bits));
	return bits;
}

const struct lanes_ops tunnel_lanes_ops = {
	.post = on_post,
	.query = on_query,
	.open = on_open,
	.append = on_append,
	.finish = on_finish,
	.unsent = on_unsent,
	.arrived = on_arrived,
	.move = on_move,
	.cancel = on_cancel,
	.on_state = on_state,
	.on_wake = on_wake,
	.on_silence = on_silence,
	.random = on_random
};

/* ---- what the carrier brings ------------------------------------------ */

static void on_body(void *ctx, unsigned slot, const uint8_t *data, size_t len)
{
	struct tunnel *t = ctx;

	lanes_on_body(t->lanes, slot, data, len, tunnel_now(t));
}

static void on_end(void *ctx, unsigned slot, enum carrier_result result,
    unsigned http_status, const char *detail)
{
	static const enum lanes_result results[] = {
		[CARRIER_DONE] = LANES_DONE,
		[CARRIER_STATUS] = LANES_STATUS,
		[CARRIER_FAILED] = LANES_FAILED
	};
	struct tunnel *t = ctx;

	if (result != CARRIER_DONE)
		log_debug("exchange failed slot=%u why=\"%s\"", slot, detail);
	if (slot == LANES_HELLO)
		t->hello_rtt_ms = (uint32_t)(tunnel_now(t) - t->hello_ms);
	lanes_on_end(t->lanes, slot, results[result], http_status, detail,
	    tunnel_now(t));
}

static void on_http_version(void *ctx, bool http2)
{
	struct tunnel *t = ctx;

	lanes_set_http2(t->lanes, http2);
}

static void on_connect(void *ctx, const struct sockaddr *to)
{
	struct tunnel *t = ctx;

	if (t->netwatch != NULL)
		netwatch_add(t->netwatch, to);
}

const struct carrier_ops tunnel_carrier_ops = {
	.on_body = on_body,
	.on_end = on_end,
	.on_http_version = on_http_version,
	.on_connect = on_connect
};
