#include "config.h"

#include "common/session_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/budget.h"
#include "common/err.h"

/*
 * Bytes queued beyond the peer's window, so that there is something to send
 * at the moment when it opens.
 */
#define LOOK_AHEAD 16384u
#define WINDOW_GROWTH 64u

const char *stream_code_text(uint64_t code)
{
	switch ((enum stream_code)code) {
	case STREAM_OK:
		return "no error";
	case STREAM_PEER_RESET:
		return "the other side reset the connection";
	case STREAM_NO_SERVER:
		return "the gateway does not know a Domino server of this name";
	case STREAM_NOT_ALLOWED:
		return "this device may not reach that Domino server";
	case STREAM_NOT_NRPC:
		return "the first bytes are not NRPC but another protocol";
	case STREAM_MALFORMED:
		return "the first bytes are no NRPC packet";
	case STREAM_CONNECT_REFUSED:
		return "the Domino server refused the connection";
	case STREAM_CONNECT_TIMEOUT:
		return "the Domino server did not answer in time";
	case STREAM_CONNECT_FAILED:
		return "the gateway could not reach the Domino server";
	case STREAM_LIMIT:
		return "a limit was reached";
	case STREAM_SESSION_LOST:
		return "the session with the gateway was lost";
	case STREAM_SHUTDOWN:
		return "the tunnel is shutting down";
	case STREAM_INTERNAL:
		return "an internal error";
	case STREAM_IDLE:
		return "nothing was sent within the time allowed";
	}
	return "unknown reason";
}

/* ---- the table -------------------------------------------------------- */

static struct stream **bucket(struct session *s, uint64_t id)
{
	return &s->buckets[(id >> 1) % STREAM_BUCKETS];
}

struct stream *stream_find(struct session *s, uint64_t id)
{
	struct stream *st = *bucket(s, id);

	while (st != NULL && st->id != id)
		st = st->bucket_next;
	return st;
}

int stream_create(struct session *s, uint64_t id, bool local,
    struct stream **out)
{
	struct stream *st = calloc(1, sizeof(*st));
	struct stream **b = bucket(s, id);

	if (st == NULL)
		return ERR_NOMEM;
	st->s = s;
	st->id = id;
	st->is_local = local;
	st->window = s->cfg.initial_window;
	sendq_init(&st->out, s->pages, s->peer_initial_window);
	recvq_init(&st->in, s->pages, s->cfg.initial_window);
	st->window_told = s->cfg.initial_window;
	st->bucket_next = *b;
	*b = st;
	st->next = s->streams;
	if (st->next != NULL)
		st->next->prev = st;
	s->streams = st;
	s->stream_count++;
	if (local)
		s->local_count++;
	else
		s->peer_count++;
	s->stats.streams_opened++;
	*out = st;
	return 0;
}

static void ready_remove(struct stream *st)
{
	struct session *s = st->s;

	if (!st->is_ready)
		return;
	st->is_ready = false;
	if (st->ready_next == st) {
		s->ready = NULL;
		return;
	}
	st->ready_prev->ready_next = st->ready_next;
	st->ready_next->ready_prev = st->ready_prev;
	if (s->ready == st)
		s->ready = st->ready_next;
}

/* Behind all others: its turn comes last. */
static void ready_append(struct stream *st)
{
	struct session *s = st->s;

	if (st->is_ready)
		return;
	st->is_ready = true;
	if (s->ready == NULL) {
		st->ready_next = st->ready_prev = st;
		s->ready = st;
	} else {
		st->ready_next = s->ready;
		st->ready_prev = s->ready->ready_prev;
		st->ready_prev->ready_next = st;
		st->ready_next->ready_prev = st;
	}
	s->ops->on_wake(s->ctx);
}

void stream_set_blocked(struct stream *st, bool blocked)
{
	if (st->is_blocked == blocked)
		return;
	st->is_blocked = blocked;
	if (blocked)
		st->s->blocked_count++;
	else
		st->s->blocked_count--;
}

/* ---- the window ------------------------------------------------------- */

uint64_t stream_pool_share(const struct stream *st)
{
	uint64_t granted = st->in.limit - st->in.read;
	uint64_t initial = st->s->cfg.initial_window;

	return granted > initial ? granted - initial : 0;
}

/* Its share of the pool was `before`, and has changed. */
static void charge_pool(struct stream *st, uint64_t before)
{
	st->s->pool_used += stream_pool_share(st);
	st->s->pool_used -= before;
	session_account(st->s);
}

void stream_destroy(struct stream *st)
{
	struct session *s = st->s;
	struct stream **at = bucket(s, st->id);

	ready_remove(st);
	stream_set_blocked(st, false);
	stream_forget_question(st);
	while (*at != st)
		at = &(*at)->bucket_next;
	*at = st->bucket_next;
	if (st->prev != NULL)
		st->prev->next = st->next;
	else
		s->streams = st->next;
	if (st->next != NULL)
		st->next->prev = st->prev;
	s->stream_count--;
	if (st->is_local)
		s->local_count--;
	else
		s->peer_count--;
	s->send_kept -= sendq_kept(&st->out);
	s->pool_used -= stream_pool_share(st);
	session_account(s);
	sendq_fini(&st->out);
	recvq_fini(&st->in);
	free(st->name);
	free(st);
}

void stream_drop(struct stream *st, uint64_t code)
{
	const struct stream_ops *ops = st->ops;
	void *user = st->user;

	st->ops = NULL;
	if (ops != NULL)
		ops->on_reset(user, st, code);
	stream_destroy(st);
}

void stream_settle(struct stream *st)
{
	if (!st->is_released || st->open == CTL_QUEUED ||
	    st->open == CTL_SENT)
		return;
	if (st->reset == CTL_ACKED ||
	    (st->reset == CTL_NONE && sendq_is_done(&st->out) &&
	    recvq_at_end(&st->in)))
		stream_destroy(st);
}

/*
 * A wider window goes along with other frames; on its own account it is sent
 * when a quarter of the one that the peer knows of is used up.
 */
static bool window_is_urgent(const struct stream *st)
{
	return st->window_queued && st->window_told <
	    st->in.read + (st->in.limit - st->in.read) / 4 * 3;
}

bool stream_has_control(const struct stream *st)
{
	if (st->open == CTL_QUEUED || st->reset == CTL_QUEUED)
		return true;
	return st->reset == CTL_NONE && window_is_urgent(st);
}

bool stream_has_work(const struct stream *st)
{
	return stream_has_control(st) ||
	    (st->reset == CTL_NONE && sendq_has_work(&st->out));
}

void stream_update(struct stream *st)
{
	if (stream_has_work(st))
		ready_append(st);
	else
		ready_remove(st);
}

static bool has_paused(const struct stream *st, uint64_t now_ms)
{
	return !st->burst_waits &&
	    now_ms - st->burst_ms >= STREAM_BULK_PAUSE_MS;
}

bool stream_is_bulk(const struct stream *st, uint64_t now_ms)
{
	return (st->burst > STREAM_BULK_BYTES && !has_paused(st, now_ms)) ||
	    sendq_lost(&st->out) > RECORD_PLAIN_MAX;
}

void stream_burst(struct stream *st, size_t len, uint64_t now_ms)
{
	if (has_paused(st, now_ms))
		st->burst = 0;
	st->burst += len;
	st->burst_ms = now_ms;
	st->burst_waits = st->out.sent < st->out.end;
}

/* ---- writing ---------------------------------------------------------- */

static size_t room(const struct stream *st)
{
	const struct session *s = st->s;
	uint64_t kept = sendq_kept(&st->out);
	uint64_t end = st->out.end;
	uint64_t n, all, shared;

	if (st->out.fin != SENDQ_OPEN || st->reset != CTL_NONE)
		return 0;
	n = st->out.limit + LOOK_AHEAD;
	n = n > end ? n - end : 0;
	all = s->send_kept < s->cfg.send_max ? s->cfg.send_max - s->send_kept :
	    0;
	shared = budget_room(s->cfg.budget);
	if (all > shared)
		all = shared;
	/* Nobody starves: a little is always allowed. */
	if (all < LOOK_AHEAD)
		all = kept < LOOK_AHEAD ? LOOK_AHEAD - kept : 0;
	return (size_t)(n < all ? n : all);
}

size_t stream_room(struct stream *st)
{
	size_t n = room(st);

	if (n == 0)
		stream_set_blocked(st, true);
	return n;
}

void stream_wake_blocked(struct session *s)
{
	struct stream *st, *next;

	if (s->blocked_count == 0)
		return;
	for (st = s->streams; st != NULL; st = next) {
		next = st->next;
		if (!st->is_blocked || room(st) < LOOK_AHEAD / 2)
			continue;
		stream_set_blocked(st, false);
		if (st->ops != NULL)
			st->ops->on_writable(st->user, st);
	}
}

size_t stream_write(struct stream *st, const void *data, size_t len)
{
	size_t n = room(st);

	if (n < len)
		stream_set_blocked(st, true);
	else
		n = len;
	if (n == 0 || sendq_write(&st->out, data, n) != 0)
		return 0;
	st->s->send_kept += n;
	session_account(st->s);
	stream_update(st);
	return n;
}

void stream_finish(struct stream *st)
{
	sendq_finish(&st->out);
	stream_update(st);
}

/* ---- reading ---------------------------------------------------------- */

size_t stream_peek(const struct stream *st, const uint8_t **out)
{
	return recvq_peek(&st->in, out);
}

size_t stream_copy(const struct stream *st, void *out, size_t max)
{
	return recvq_copy(&st->in, out, max);
}

/* Streams that want a share of the pool and have lately used theirs. */
static unsigned wide_streams(const struct session *s)
{
	const struct stream *st;
	unsigned n = 0;

	for (st = s->streams; st != NULL; st = st->next)
		if (st->window > s->cfg.initial_window &&
		    s->consumed - st->consumed_at <= 8 * s->cfg.window_pool)
			n++;
	return n;
}

/*
 * The window that this stream may have now. It grows 64-fold when an eighth of
 * it has been used up, less than a record: a connection that gets up speed would
 * else wait for it. What goes beyond the initial window comes out of the
 * session's pool, which the streams that grew share evenly.
 */
static uint64_t fair_window(struct stream *st)
{
	struct session *s = st->s;
	uint64_t has = stream_pool_share(st), others = s->pool_used - has;
	uint64_t shared = budget_room(s->cfg.budget), share;

	if (st->used >= st->window / 8 && st->window < s->cfg.window_max) {
		st->used = 0;
		st->window *= WINDOW_GROWTH;
		if (st->window > s->cfg.window_max)
			st->window = s->cfg.window_max;
	}
	if (st->window == s->cfg.initial_window)
		return st->window;
	share = s->cfg.window_pool / wide_streams(s);
	if (share > s->cfg.window_pool - others)
		share = s->cfg.window_pool - others;
	/* What it has been granted already stays granted. */
	if (share > has && share - has > shared)
		share = has + shared;
	share += s->cfg.initial_window;
	return st->window < share ? st->window : share;
}

void stream_consume(struct stream *st, size_t n)
{
	struct session *s = st->s;
	uint64_t window, before = stream_pool_share(st);

	recvq_consume(&st->in, n);
	st->used += n;
	s->consumed += n;
	st->consumed_at = s->consumed;
	charge_pool(st, before);
	if (st->in.has_fin)
		return;
	if (st->window_queued)
		stream_update(st);	/* it may be urgent by now */
	/* All streams are asked for their share; less is never worth a frame. */
	if (st->in.read - st->reviewed < s->cfg.initial_window / 8)
		return;
	st->reviewed = st->in.read;
	window = fair_window(st);
	/* An eighth used up is worth a frame; less goes along another time. */
	if (st->in.read + window < st->in.limit + window / 8)
		return;
	before = stream_pool_share(st);
	st->in.limit = st->in.read + window;
	charge_pool(st, before);
	st->window_queued = true;
	stream_update(st);
}

bool stream_at_end(const struct stream *st)
{
	return recvq_at_end(&st->in);
}

/* ---- life ------------------------------------------------------------- */

int stream_open(struct session *s, const char *name, struct stream **out)
{
	struct stream *st;
	int rc;

	if (s->closed)
		return ERR_CLOSED;
	if (s->local_count >= s->peer_max_streams)
		return ERR_LIMIT;
	if (name != NULL && strlen(name) > FRAME_NAME_MAX)
		return ERR_LIMIT;
	rc = stream_create(s, s->next_id, true, &st);
	if (rc != 0)
		return rc;
	if (name != NULL && (st->name = strdup(name)) == NULL) {
		stream_destroy(st);
		return ERR_NOMEM;
	}
	s->next_id += 2;
	st->open = CTL_QUEUED;
	st->is_open = true;
	stream_update(st);
	*out = st;
	return 0;
}

void stream_attach(struct stream *st, const struct stream_ops *ops, void *user)
{
	st->ops = ops;
	st->user = user;
}

uint64_t stream_id(const struct stream *st)
{
	return st->id;
}

struct session *stream_session(const struct stream *st)
{
	return st->s;
}

void *stream_user(const struct stream *st)
{
	return st->user;
}

void stream_reset(struct stream *st, uint64_t code)
{
	struct session *s = st->s;
	uint64_t before = stream_pool_share(st);

	st->ops = NULL;
	st->is_released = true;
	stream_set_blocked(st, false);
	stream_forget_question(st);
	st->reset = CTL_QUEUED;
	st->reset_code = code;
	/* What is queued or unread is of no use to anyone any more. */
	s->send_kept -= sendq_kept(&st->out);
	sendq_fini(&st->out);
	sendq_init(&st->out, s->pages, 0);
	recvq_fini(&st->in);
	recvq_init(&st->in, s->pages, 0);
	charge_pool(st, before);
	stream_update(st);
}

void stream_release(struct stream *st)
{
	if (st->out.fin == SENDQ_OPEN || !recvq_at_end(&st->in)) {
		stream_reset(st, STREAM_PEER_RESET);
		return;
	}
	st->ops = NULL;
	st->is_released = true;
	stream_set_blocked(st, false);
	stream_settle(st);
}
