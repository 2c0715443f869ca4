#include "config.h"

#include "common/session_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/budget.h"
#include "common/err.h"

#define ACK_MIN_MS 2u		/* between two ACKs for bulk */
#define ACK_RTT_MAX_MS 200u	/* longer round trips count as this */

/* Beyond this many ranges of numbers, the lowest are counted as seen. */
#define SEEN_RANGES_MAX 1024u
/* Ids of the peer's streams come nearly in order: few ranges. */
#define PEER_IDS_MAX 1024u

void session_defaults(struct session_config *c, bool opens_even)
{
	*c = (struct session_config){
		.opens_even = opens_even,
		.max_streams = 512,
		.initial_window = 64u << 10,
		.window_max = 8u << 20,
		.window_pool = 8u << 20,
		.send_max = 12u << 20,
	};
}

int session_new(struct session **out, const uint8_t id[RECORD_ID_LEN],
    const struct session_config *c, const struct session_ops *ops, void *ctx)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->cfg = *c;
	s->ops = ops;
	s->ctx = ctx;
	memcpy(s->id, id, sizeof(s->id));
	ranges_init(&s->seen, SEEN_RANGES_MAX);
	ranges_init(&s->peer_ids, PEER_IDS_MAX);
	sent_init(&s->sent);
	cwnd_init(&s->cwnd);
	page_pool_init(&s->own_pages, PAGES_KEEP);
	s->pages = c->pages != NULL ? c->pages : &s->own_pages;
	s->next_id = c->opens_even ? 0 : 1;
	s->stats.ping_rtt_ms = UINT64_MAX;
	*out = s;
	return 0;
}

const struct session_config *session_limits(const struct session *s)
{
	return &s->cfg;
}

static void free_pair(struct key_pair *p)
{
	record_key_free(p->seal);
	record_key_free(p->open);
	*p = (struct key_pair){ NULL, NULL };
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	while (s->streams != NULL)
		stream_destroy(s->streams);
	session_account(s);
	free_pair(&s->now);
	free_pair(&s->offered);
	record_key_free(s->open_before);
	ranges_fini(&s->seen);
	ranges_fini(&s->peer_ids);
	sent_fini(&s->sent);
	page_pool_fini(&s->own_pages);
	free(s);
}

void session_account(struct session *s)
{
	uint64_t bytes = s->send_kept + s->pool_used;

	if (bytes > s->charged)
		budget_charge(s->cfg.budget, bytes - s->charged);
	else
		budget_release(s->cfg.budget, s->charged - bytes);
	s->charged = bytes;
}

/* ---- keys ------------------------------------------------------------- */

void session_adopt(struct session *s)
{
	record_key_free(s->open_before);
	s->open_before = s->now.open;
	record_key_free(s->now.seal);
	s->now = s->offered;
	s->offered = (struct key_pair){ NULL, NULL };
}

int session_keys(struct session *s, uint16_t generation,
    const uint8_t seal[32], const uint8_t open[32], bool at_once)
{
	struct key_pair p = { NULL, NULL };
	int rc;

	if (s->now.open != NULL &&
	    generation <= record_key_generation(s->now.open))
		return ERR_STATE;
	rc = record_key_new(&p.seal, seal, generation, s->id);
	if (rc == 0)
		rc = record_key_new(&p.open, open, generation, s->id);
	if (rc != 0) {
		free_pair(&p);
		return rc;
	}
	free_pair(&s->offered);
	s->offered = p;
	if (at_once)
		session_adopt(s);
	return 0;
}

bool session_confirmed(const struct session *s, uint16_t generation)
{
	return s->now.open != NULL &&
	    record_key_generation(s->now.open) >= generation;
}

void session_peer(struct session *s, uint64_t initial_window,
    uint64_t max_streams)
{
	s->peer_initial_window = initial_window;
	s->peer_max_streams = max_streams;
}

/* ---- lanes and state -------------------------------------------------- */

bool session_lane_pending(const struct session *s, uint64_t lane)
{
	return sent_pending(&s->sent, lane);
}

void session_break_lane_rule(struct session *s)
{
	s->lane_rule_broken = true;
}

uint64_t session_sent_number(const struct session *s)
{
	return s->last_number;
}

bool session_owes_ack(const struct session *s)
{
	return s->owes_ack && (s->owes_end || s->owed >= SESSION_OWED_MAX);
}

uint64_t session_ack_at(const struct session *s)
{
	uint64_t rtt = s->cwnd.rtt_ms, wait = SESSION_ACK_MS;

	if (!s->owes_ack)
		return UINT64_MAX;
	if (rtt > ACK_RTT_MAX_MS)
		rtt = ACK_RTT_MAX_MS;
	if (s->owed >= SESSION_OWED_MAX)
		wait = rtt / 8 > ACK_MIN_MS ? rtt / 8 : ACK_MIN_MS;
	else if (s->owed >= RECORD_PLAIN_MAX)
		wait = rtt / 2 > 4 * ACK_MIN_MS ? rtt / 2 : 4 * ACK_MIN_MS;
	else if (!s->owes_end)
		return UINT64_MAX;
	return s->ack_ms + wait;
}

uint64_t session_bulk_room(const struct session *s)
{
	return cwnd_room(&s->cwnd, s->sent.flight);
}

uint64_t session_window(const struct session *s)
{
	return s->cwnd.bytes;
}

uint64_t session_rtt_ms(const struct session *s)
{
	return s->cwnd.rtt_ms;
}

uint64_t session_lane_flight(const struct session *s, uint64_t lane)
{
	return sent_flight(&s->sent, lane);
}

uint64_t session_lane_oldest(const struct session *s, uint64_t lane)
{
	return sent_oldest(&s->sent, lane);
}

void session_path_silent(struct session *s, uint64_t now_ms)
{
	cwnd_on_silence(&s->cwnd, now_ms);
}

void session_path_changed(struct session *s)
{
	cwnd_init(&s->cwnd);
	session_ping(s);
}

bool session_is_idle(const struct session *s)
{
	return s->streams == NULL && s->sent.carrying == 0;
}

void session_close_streams(struct session *s, uint64_t code)
{
	while (s->streams != NULL)
		stream_drop(s->streams, code);
}

void session_close(struct session *s, uint64_t code, const char *text)
{
	s->close_queued = true;
	s->close_code = code;
	snprintf(s->close_text, sizeof(s->close_text), "%s", text);
	s->closed = true;
	session_close_streams(s, STREAM_SHUTDOWN);
	s->ops->on_wake(s->ctx);
}

bool session_is_closed(const struct session *s)
{
	return s->closed;
}

void session_ping(struct session *s)
{
	s->ping_queued = s->ping_open = true;
	s->ping_token++;
	s->ops->on_wake(s->ctx);
}

bool session_ping_is_open(const struct session *s)
{
	return s->ping_open;
}

uint64_t session_streams_refused(const struct session *s)
{
	return s->stats.streams_refused;
}

void session_get_stats(const struct session *s, struct session_stats *out)
{
	const struct stream *st;

	*out = s->stats;
	out->streams = s->stream_count;
	out->send_bytes = s->send_kept;
	out->recv_bytes = 0;
	for (st = s->streams; st != NULL; st = st->next)
		out->recv_bytes += recvq_kept(&st->in);
}
