#include "config.h"

#include "tests/sim/apps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/session_state.h"
#include "tests/sim/pattern.h"

#define PIECE_MAX 16384u
#define STALLED_MS 60000u	/* an end stalls no longer, all together */

static const char *const state_name[] = {
	"none", "live", "done", "reset", "was-reset", "vanished",
};

static void do_read(struct apps_end *e);
static void do_write(struct apps_end *e);

static struct apps_end *other(struct apps_end *e)
{
	return e->client ? &e->conv->server : &e->conv->client;
}

static const char *side(const struct apps_end *e)
{
	return e->client ? "client" : "server";
}

static void set_state(struct apps_end *e, enum apps_state next)
{
	trace_say(e->conv->apps->trace, "app conv=%u end=%s from=%s to=%s "
	    "read=%" PRIu64 " written=%" PRIu64 " code=%" PRIu64,
	    e->conv->number, side(e), state_name[e->state], state_name[next],
	    e->read, e->written, e->code);
	e->state = next;
	if (next == APPS_LIVE)
		return;
	e->st = NULL;
	if (e->client)
		e->conv->ended_ms = e->conv->apps->events->now_ms;
}

/* Reset if the script says that it is time. True: the stream is gone. */
static bool reset_due(struct apps_end *e)
{
	struct stream *st = e->st;

	if (e->read + e->written < e->script.reset_after)
		return false;
	e->code = rng_chance(&e->rng, 200) ? STREAM_PEER_RESET :
	    rng_between(&e->rng, STREAM_NO_SERVER, STREAM_CONNECT_FAILED);
	set_state(e, APPS_RESET);
	if (e->code == STREAM_PEER_RESET && !(e->finished && e->at_end))
		stream_release(st);	/* which means the same */
	else
		stream_reset(st, e->code);
	return true;
}

static void on_release(void *ctx)
{
	struct apps_end *e = ctx;
	struct stream *st = e->st;

	if (e->state != APPS_LIVE)
		return;
	set_state(e, APPS_DONE);
	stream_release(st);
}

/* Both halves have ended: let go of the stream, now or a little later. */
static void maybe_done(struct apps_end *e)
{
	if (!e->finished || !e->at_end)
		return;
	if (rng_chance(&e->rng, 300))
		events_after(e->conv->apps->events,
		    rng_below(&e->rng, 500), on_release, e);
	else
		on_release(e);
}

static void on_read_again(void *ctx)
{
	struct apps_end *e = ctx;

	e->read_stalled = false;
	if (e->state == APPS_LIVE)
		do_read(e);
}

static void on_write_again(void *ctx)
{
	struct apps_end *e = ctx;

	e->write_stalled = false;
	if (e->state == APPS_LIVE)
		do_write(e);
}

/* Pause for a while, if chance wants it. */
static bool stall(struct apps_end *e, bool *flag, void (*again)(void *ctx))
{
	if (!rng_chance(&e->rng, e->script.stall_per_mille))
		return false;
	*flag = true;
	events_after(e->conv->apps->events,
	    rng_size(&e->rng, e->script.stall_max_ms), again, e);
	return true;
}

/* A turn of the other end may have become complete. */
static void note_turn(struct apps_end *e)
{
	uint64_t took;

	if (e->script.turn == 0 || !e->client ||
	    e->read < (e->turns + 1) * e->script.other_turn)
		return;
	took = e->conv->apps->events->now_ms - e->turn_began_ms;
	e->all_turns_ms += took;
	if (++e->turns > 2 && took > e->worst_turn_ms)
		e->worst_turn_ms = took;
}

static void compare(struct apps_end *e, const uint8_t *data, size_t len)
{
	size_t good = pattern_match(other(e)->key, e->read, data, len);
	uint8_t copy[64];
	size_t n;

	if (good < len)
		trace_fail(e->conv->apps->trace, "conv %u: the %s reads a "
		    "wrong byte at %" PRIu64, e->conv->number, side(e),
		    e->read + good);
	if (e->read + len > other(e)->written)
		trace_fail(e->conv->apps->trace, "conv %u: the %s reads up to "
		    "%" PRIu64 ", written were %" PRIu64, e->conv->number,
		    side(e), e->read + len, other(e)->written);
	n = stream_copy(e->st, copy, sizeof(copy));
	if (n < (len < sizeof(copy) ? len : sizeof(copy)) ||
	    pattern_match(other(e)->key, e->read, copy, n) != n)
		trace_fail(e->conv->apps->trace, "conv %u: stream_copy at the "
		    "%s differs", e->conv->number, side(e));
}

static void note_end(struct apps_end *e)
{
	if (e->at_end)
		return;
	e->at_end = true;
	if (!other(e)->finished || e->read != other(e)->script.total)
		trace_fail(e->conv->apps->trace, "conv %u: the %s reads the "
		    "end after %" PRIu64 " of %" PRIu64 " bytes",
		    e->conv->number, side(e), e->read,
		    other(e)->script.total);
}

static void do_read(struct apps_end *e)
{
	const uint8_t *data;
	size_t n;

	while (!e->read_stalled && (n = stream_peek(e->st, &data)) > 0) {
		if (n > e->script.piece_max)
			n = rng_between(&e->rng, 1, e->script.piece_max);
		compare(e, data, n);
		stream_consume(e->st, n);
		e->read += n;
		note_turn(e);
		if (reset_due(e))
			return;
		stall(e, &e->read_stalled, on_read_again);
	}
	if (stream_at_end(e->st))
		note_end(e);
	do_write(e);
}

static void on_thought(void *ctx)
{
	struct apps_end *e = ctx;

	e->thinking = false;
	if (e->state == APPS_LIVE)
		do_write(e);
}

/* How far may this end write, as the conversation stands? */
static uint64_t allowed(struct apps_end *e)
{
	const struct apps_script *s = &e->script;
	uint64_t turns;

	if (e->read < s->first_after)
		return 0;
	if (s->turn == 0)
		return s->total;
	turns = e->read / s->other_turn + (e->client ? 1 : 0);
	if (turns * s->turn > s->total)
		turns = s->total / s->turn;
	if (turns > e->thought && s->think_ms > 0 && !e->thinking) {
		e->thinking = true;
		e->thought = turns;
		events_after(e->conv->apps->events, s->think_ms, on_thought, e);
	}
	return e->thinking ? e->written : turns * s->turn;
}

/* Write one piece. False: no more for now. */
static bool write_piece(struct apps_end *e)
{
	uint64_t limit = allowed(e);
	uint8_t data[PIECE_MAX];
	size_t n, taken;

	if (e->written >= limit)
		return false;
	n = limit - e->written < e->script.piece_max ?
	    limit - e->written : e->script.piece_max;
	if (rng_chance(&e->rng, 300))
		n = rng_between(&e->rng, 1, n);
	if (e->script.turn > 0 && e->written % e->script.turn == 0)
		e->turn_began_ms = e->conv->apps->events->now_ms;
	pattern_fill(e->key, e->written, data, n);
	taken = stream_write(e->st, data, n);
	e->written += taken;
	return taken == n;
}

static void do_write(struct apps_end *e)
{
	while (!e->write_stalled && write_piece(e)) {
		if (reset_due(e))
			return;
		stall(e, &e->write_stalled, on_write_again);
	}
	if (!e->finished && e->written == e->script.total &&
	    (!e->script.end_after_end || e->at_end)) {
		e->finished = true;
		stream_finish(e->st);
	}
	maybe_done(e);
}

static void on_readable(void *user, struct stream *st)
{
	struct apps_end *e = user;

	if (e->state != APPS_LIVE || e->st != st)
		trace_fail(e->conv->apps->trace, "conv %u: the %s is called "
		    "for a stream that it has let go", e->conv->number,
		    side(e));
	else if (!e->read_stalled)
		do_read(e);
}

static void on_writable(void *user, struct stream *st)
{
	struct apps_end *e = user;

	if (e->state != APPS_LIVE || e->st != st)
		trace_fail(e->conv->apps->trace, "conv %u: the %s may write "
		    "to a stream that it has let go", e->conv->number,
		    side(e));
	else if (!e->write_stalled)
		do_write(e);
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	struct apps_end *e = user;
	struct apps *a = e->conv->apps;

	if (e->state != APPS_LIVE || e->st != st) {
		trace_fail(a->trace, "conv %u: the %s is reset again",
		    e->conv->number, side(e));
		return;
	}
	e->code = code;
	set_state(e, APPS_WAS_RESET);
	if (other(e)->state == APPS_RESET && other(e)->code == code)
		return;
	e->conv->lost = true;
	a->lost++;
	if (!e->client)
		a->server_lost++;	/* rightly so? the owner knows later */
	if (a->closing || !e->client)
		return;
	/* The gateway's half of a stream that is over may still count. */
	if (code == STREAM_LIMIT && a->tight && other(e)->state == APPS_NONE)
		return;
	if (code != STREAM_SESSION_LOST)
		trace_fail(a->trace, "conv %u: the client is reset with "
		    "code %" PRIu64 ", the server %s with %" PRIu64,
		    e->conv->number, code, state_name[other(e)->state],
		    other(e)->code);
	else if (a->gate_has_session)
		trace_fail(a->trace, "conv %u: the client is told that the "
		    "session was lost, but it lives", e->conv->number);
}

static const struct stream_ops ops = {
	.on_readable = on_readable,
	.on_writable = on_writable,
	.on_reset = on_reset,
};

/* The stream is there: go. */
static void begin(struct apps_end *e, struct stream *st)
{
	e->st = st;
	set_state(e, APPS_LIVE);
	stream_attach(st, &ops, e);
	if (e->script.refuses)
		e->script.reset_after = 0;
	if (!reset_due(e))
		do_read(e);
}

/* Open the stream, or try again later. */
static void on_open_due(void *ctx)
{
	struct apps_conv *c = ctx;
	struct apps *a = c->apps;
	struct stream *st;
	int rc = ERR_STATE;

	if (a->lanes != NULL)
		rc = lanes_open(a->lanes, c->name[0] != '\0' ? c->name : NULL,
		    &st);
	if (rc == ERR_STATE || rc == ERR_LIMIT) {
		events_after(a->events, rng_between(&c->client.rng, 20, 400),
		    on_open_due, c);
		return;
	}
	if (rc != 0) {
		trace_fail(a->trace, "lanes_open: %s", err_text(rc));
		return;
	}
	c->opened = ++a->opened;
	c->id = stream_id(st);
	begin(&c->client, st);
}

void apps_on_open(struct apps *a, struct stream *st, const char *name,
    size_t name_len)
{
	struct apps_conv *c = NULL;

	/* Sessions that were lost had the same ids: the latest is meant. */
	for (struct apps_conv *i = a->convs; i != NULL; i = i->next)
		if (i->opened > (c != NULL ? c->opened : 0) &&
		    i->id == stream_id(st))
			c = i;
	if (c == NULL || c->server.state != APPS_NONE ||
	    strlen(c->name) != name_len ||
	    (name_len > 0 && memcmp(c->name, name, name_len) != 0)) {
		trace_fail(a->trace, "stream %" PRIu64 " is opened at the "
		    "gateway, but not by the client like that", stream_id(st));
		return;
	}
	begin(&c->server, st);
}

void apps_init(struct apps *a, uint64_t seed)
{
	a->seed = seed;
}

void apps_fini(struct apps *a)
{
	struct apps_conv *c;

	while ((c = a->convs) != NULL) {
		a->convs = c->next;
		free(c);
	}
}

/* Request and response, in turn. */
static void choose_turns(struct apps_conv *c, struct rng *r)
{
	uint64_t turns = 1 + rng_size(r, 60);
	uint64_t ask = 1 + rng_size(r, 400), answer = 1 + rng_size(r, 5000);

	c->client.script.turn = c->server.script.other_turn = ask;
	c->server.script.turn = c->client.script.other_turn = answer;
	c->client.script.total = turns * ask;
	c->server.script.total = turns * answer;
	if (rng_chance(r, 400))
		c->server.script.think_ms = rng_size(r, 300);
	if (rng_chance(r, 300))
		c->client.script.think_ms = rng_size(r, 3000);
}

/* Both write as they like; one may wait for the other first. */
static void choose_free(struct apps_conv *c, struct rng *r, uint64_t size_max)
{
	struct apps_script *a = &c->client.script, *b = &c->server.script;

	a->total = rng_chance(r, 200) ? 0 : rng_size(r, size_max);
	b->total = rng_chance(r, 200) ? 0 : rng_size(r, size_max);
	if (rng_chance(r, 300))
		b->first_after = rng_below(r, a->total + 1);
	else if (rng_chance(r, 300))
		a->first_after = rng_below(r, b->total + 1);
}

static void choose_end(struct apps_end *e, struct rng *r)
{
	struct apps_script *s = &e->script;
	uint64_t bytes = s->total + other(e)->script.total, stalls;

	s->piece_max = 1 + rng_size(r, PIECE_MAX - 1);
	if (bytes > 20000 && s->piece_max < 100)
		s->piece_max = 100;
	if (rng_chance(r, 300)) {
		s->stall_per_mille = (unsigned)rng_size(r, 200);
		s->stall_max_ms = rng_size(r, 2000);
	}
	/* Not so slow that one would have to wait for it. */
	stalls = 1 + bytes * s->stall_per_mille / (1000 * s->piece_max);
	if (s->stall_max_ms > STALLED_MS / stalls)
		s->stall_max_ms = STALLED_MS / stalls;
	if (rng_chance(r, 80))
		s->reset_after = rng_size(r, bytes + 1);
}

void apps_choose(struct apps_conv *c, struct rng *r, uint64_t size_max)
{
	uint64_t kind = rng_below(r, 10);

	if (rng_chance(r, 500))
		snprintf(c->name, sizeof(c->name), "CN=Mail%u/O=Acme",
		    c->number);
	if (kind < 4)
		choose_turns(c, r);
	else if (kind < 9)
		choose_free(c, r, size_max);
	choose_end(&c->client, r);
	choose_end(&c->server, r);
	if (rng_chance(r, 30))
		c->server.script.refuses = true;
	if (rng_chance(r, 300))
		c->client.script.end_after_end = true;
	else if (rng_chance(r, 500))
		c->server.script.end_after_end = true;
}

static void init_end(struct apps_end *e, struct apps_conv *c, bool client)
{
	e->conv = c;
	e->client = client;
	rng_init(&e->rng, c->apps->seed, 1000 + 2 * c->number + client);
	e->key = rng_next(&e->rng);
	e->script.reset_after = UINT64_MAX;
	e->script.piece_max = PIECE_MAX;
}

struct apps_conv *apps_add(struct apps *a, uint64_t at_ms)
{
	struct apps_conv *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->apps = a;
	c->number = ++a->count;
	c->next = a->convs;
	a->convs = c;
	init_end(&c->client, c, true);
	init_end(&c->server, c, false);
	events_at(a->events, at_ms, on_open_due, c);
	return c;
}

void apps_gate_lost(struct apps *a)
{
	for (struct apps_conv *c = a->convs; c != NULL; c = c->next)
		if (c->server.state == APPS_LIVE) {
			set_state(&c->server, APPS_VANISHED);
			c->lost = true;
		}
}

void apps_gate_upgraded(struct apps *a, struct session *s)
{
	for (struct apps_conv *c = a->convs; c != NULL; c = c->next) {
		struct apps_end *e = &c->server;

		if (e->state != APPS_LIVE)
			continue;
		stream_attach(e->st, NULL, NULL);
		e->st = session_take_stream(s, c->id);
		if (e->st == NULL) {
			trace_fail(a->trace, "conv %u: the stream is not in "
			    "the state", c->number);
			return;
		}
		stream_attach(e->st, &ops, e);
	}
	if (!session_all_taken(s))
		trace_fail(a->trace, "the state has a stream of nobody's");
}

static bool over(const struct apps_conv *c)
{
	if (c->client.state == APPS_NONE || c->client.state == APPS_LIVE ||
	    c->server.state == APPS_LIVE)
		return false;
	/* A client that was reset or has reset need not have been heard. */
	return c->server.state != APPS_NONE || c->client.state != APPS_DONE;
}

uint64_t apps_total(const struct apps *a)
{
	uint64_t total = 0;

	for (const struct apps_conv *c = a->convs; c != NULL; c = c->next)
		total += c->client.script.total + c->server.script.total;
	return total;
}

uint64_t apps_turns_ms(const struct apps *a, uint64_t rtt_ms)
{
	uint64_t total = 0;

	for (const struct apps_conv *c = a->convs; c != NULL; c = c->next)
		if (c->client.script.turn > 0)
			total += c->client.script.total /
			    c->client.script.turn * (rtt_ms +
			    c->client.script.think_ms +
			    c->server.script.think_ms);
	return total;
}

bool apps_over(const struct apps *a)
{
	for (const struct apps_conv *c = a->convs; c != NULL; c = c->next)
		if (!over(c))
			return false;
	return true;
}

/* May one end have ended like this, when the other ended like that? */
static bool plausible(const struct apps_end *e, const struct apps_end *o)
{
	switch (e->state) {
	case APPS_DONE:
		return e->read == o->script.total || o->state == APPS_RESET;
	case APPS_RESET:
		return true;
	case APPS_WAS_RESET:
		return o->state == APPS_RESET && o->code == e->code;
	case APPS_NONE:
		return o->state == APPS_RESET;
	case APPS_LIVE:
	case APPS_VANISHED:
		break;
	}
	return false;
}

void apps_judge(struct apps *a)
{
	for (struct apps_conv *c = a->convs; c != NULL; c = c->next) {
		if (c->lost)
			continue;
		if (plausible(&c->client, &c->server) &&
		    plausible(&c->server, &c->client))
			continue;
		trace_fail(a->trace, "conv %u: the client is %s (code "
		    "%" PRIu64 ") and the server %s (code %" PRIu64 ")",
		    c->number, state_name[c->client.state], c->client.code,
		    state_name[c->server.state], c->server.code);
	}
}

void apps_describe(const struct apps *a, char *out, size_t len)
{
	const struct apps_conv *c = a->convs;

	while (c != NULL && over(c))
		c = c->next;
	if (c == NULL) {
		snprintf(out, len, "all conversations are over");
		return;
	}
	snprintf(out, len, "conv %u: client %s read %" PRIu64 "/%" PRIu64
	    " written %" PRIu64 "/%" PRIu64 "; server %s read %" PRIu64
	    " written %" PRIu64, c->number, state_name[c->client.state],
	    c->client.read, c->server.script.total, c->client.written,
	    c->client.script.total, state_name[c->server.state],
	    c->server.read, c->server.written);
}
