/* The scenarios, and how a connection goes through each. */
#include "config.h"

#include "tests/support/guest_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct guest_play guest_plays[] = {
	{ "probe", PLAY_PROBE, SCRIPT_NONE,
	    "nmap's probe; prints the server's name and the round trip" },
	{ "pingpong", PLAY_PINGPONG, SCRIPT_PINGPONG,
	    "--count transactions of --up and --down bytes, one by one" },
	{ "echo", PLAY_ECHO, SCRIPT_ECHO, "--bytes there and back" },
	{ "down", PLAY_DOWN, SCRIPT_DOWN, "--bytes from the server" },
	{ "up", PLAY_UP, SCRIPT_UP, "--bytes to the server" },
	{ "both", PLAY_BOTH, SCRIPT_BOTH, "--bytes each way at once" },
	{ "halfclose", PLAY_HALFCLOSE, SCRIPT_HALFCLOSE,
	    "--up bytes, our half ends, then --down bytes come" },
	{ "close", PLAY_CLOSE, SCRIPT_CLOSE,
	    "the server sends --bytes and closes first" },
	{ "expect-reset", PLAY_EXPECT_RESET, SCRIPT_RESET,
	    "the server sends --bytes and resets after --ms" },
	{ "reset", PLAY_RESET, SCRIPT_PINGPONG,
	    "one transaction, then we reset" },
	{ "expect-refused", PLAY_EXPECT_REFUSED, SCRIPT_PINGPONG,
	    "refused, or reset before the first byte" },
	{ "greet", PLAY_GREET, SCRIPT_PINGPONG,
	    "wait for the server's greeting, then one transaction" },
	{ "silent", PLAY_SILENT, SCRIPT_SILENT,
	    "the server says nothing for --ms; then we end" },
	{ "raw", PLAY_RAW, SCRIPT_NONE,
	    "send --hex, show what comes until an end, a reset or --ms" },
	{ "idle", PLAY_IDLE, SCRIPT_NONE,
	    "open, wait --ms, close; no byte either way" },
	{ "hold", PLAY_HOLD, SCRIPT_PINGPONG,
	    "one transaction, 'held', wait for SIGUSR1, one more" },
};

const size_t guest_play_count = sizeof(guest_plays) / sizeof(guest_plays[0]);

enum play guest_play_of(const struct call *c)
{
	return guest_plays[c->g->play].play;
}

static void on_wait_over(uv_timer_t *timer)
{
	struct call *c = timer->data;

	switch (guest_play_of(c)) {
	case PLAY_RAW:
		strcpy(c->g->tally.outcome, "timeout");
		break;
	case PLAY_SILENT:
		if (peer_received(c->peer) > 0) {
			guest_complain(c, "bytes came from a silent server");
			return;
		}
		break;
	default:
		break;
	}
	guest_succeed(c);
}

/* The first packet is out: what else goes, and what is to come? */
static void start_main(struct call *c)
{
	struct guest *g = c->g;

	c->phase = PHASE_MAIN;
	if (guest_play_of(c) != PLAY_PROBE) /* its packet was the question */
		c->lap_ns = uv_hrtime();
	switch (guest_play_of(c)) {
	case PLAY_PROBE:
		peer_take(c->peer, 2, 2);
		break;
	case PLAY_PINGPONG:
	case PLAY_RESET:
	case PLAY_EXPECT_REFUSED:
	case PLAY_GREET:
	case PLAY_HOLD:
		guest_start_transaction(c);
		break;
	case PLAY_ECHO:
		/* The echo comes with the pattern of the way up. */
		peer_expect(c->peer, script_seed_up(&c->script), 0, g->bytes);
		guest_send_up(c, g->bytes);
		break;
	case PLAY_DOWN:
	case PLAY_CLOSE:
	case PLAY_EXPECT_RESET:
		if (g->bytes > 0)
			guest_expect_down(c, g->bytes);
		else
			c->phase = PHASE_END;
		break;
	case PLAY_BOTH:
		guest_expect_down(c, g->bytes);
		guest_send_up(c, g->bytes);
		break;
	case PLAY_UP:
		guest_send_up(c, g->bytes);
		c->phase = PHASE_VERDICT;
		peer_take(c->peer, SCRIPT_VERDICT_LEN, SCRIPT_VERDICT_LEN);
		break;
	case PLAY_HALFCLOSE:
		guest_expect_down(c, g->down);
		guest_send_up(c, g->up);
		peer_end(c->peer);
		break;
	case PLAY_RAW:
		peer_take(c->peer, 1, 1024);
		uv_timer_start(&c->timer, on_wait_over, g->ms, 0);
		return;
	case PLAY_SILENT:
	case PLAY_IDLE:
		uv_timer_start(&c->timer, on_wait_over, g->ms, 0);
		return;
	}
	guest_start_stall(c);
}

static void on_dribble(uv_timer_t *timer)
{
	struct call *c = timer->data;

	peer_send_bytes(c->peer, c->packet + c->packet_sent, 1);
	if (++c->packet_sent < c->packet_len)
		return;
	uv_timer_stop(timer);
	start_main(c);
}

static void send_packet(struct call *c)
{
	c->lap_ns = uv_hrtime();
	if (c->g->dribble_ms > 0 && c->packet_len > 0) {
		uv_timer_start(&c->timer, on_dribble, 0, c->g->dribble_ms);
		return;
	}
	if (c->packet_len > 0)
		peer_send_bytes(c->peer, c->packet, c->packet_len);
	start_main(c);
}

static void on_connected(void *user, struct peer *p)
{
	struct call *c = user;

	if (guest_play_of(c) == PLAY_GREET) {
		c->phase = PHASE_GREETING;
		peer_take(p, 1, 256);
		return;
	}
	send_packet(c);
}

/* First the answer's length, then the rest of it. */
static void on_probe_answer(struct call *c)
{
	const uint8_t *data;
	size_t len, rest;

	data = peer_taken(c->peer, &len);
	if (c->phase == PHASE_MAIN) {
		memcpy(c->packet, data, 2);
		rest = data[0];
		if (data[1] != 0 || rest < SCRIPT_HEAD) {
			guest_complain(c, "the answer is not a Domino "
			    "server's");
			return;
		}
		c->phase = PHASE_END;
		peer_take(c->peer, rest, rest);
		return;
	}
	memcpy(c->packet + 2, data, len);
	if (script_answer_name(c->packet, len + 2, c->g->tally.name) != 0) {
		guest_complain(c, "the answer is not a Domino server's");
		return;
	}
	tally_lap(&c->g->tally, uv_hrtime() - c->lap_ns);
	guest_succeed(c);
}

static void on_verdict(struct call *c)
{
	const uint8_t *data;
	size_t len;

	data = peer_taken(c->peer, &len);
	if (script_verdict_decode(data) != c->g->bytes) {
		guest_complain(c, "the server's verdict is another byte count");
		return;
	}
	c->phase = PHASE_END;
	peer_expect_end(c->peer);
}

static void on_raw(struct call *c)
{
	struct tally *t = &c->g->tally;
	const uint8_t *data;
	size_t len, at = strlen(t->hex);

	data = peer_taken(c->peer, &len);
	for (size_t i = 0; i < len && at + 2 < sizeof(t->hex); i++, at += 2)
		(void)snprintf(t->hex + at, 3, "%02x", data[i]);
	peer_take(c->peer, 1, 1024);
}

static void on_received(void *user, struct peer *p)
{
	struct call *c = user;

	if (c->phase == PHASE_GREETING) {
		send_packet(c);
		return;
	}
	if (c->phase == PHASE_VERDICT) {
		on_verdict(c);
		return;
	}
	switch (guest_play_of(c)) {
	case PLAY_PROBE:
		on_probe_answer(c);
		break;
	case PLAY_RAW:
		on_raw(c);
		break;
	case PLAY_PINGPONG:
	case PLAY_RESET:
	case PLAY_EXPECT_REFUSED:
	case PLAY_GREET:
	case PLAY_HOLD:
		guest_on_transaction_done(c);
		break;
	case PLAY_BOTH:
		c->phase = PHASE_VERDICT;
		peer_take(p, SCRIPT_VERDICT_LEN, SCRIPT_VERDICT_LEN);
		break;
	case PLAY_ECHO:
		c->phase = PHASE_END;
		peer_end(p);
		break;
	case PLAY_EXPECT_RESET:
		c->lap_ns = uv_hrtime();
		c->phase = PHASE_END;
		break;
	case PLAY_DOWN:
	case PLAY_CLOSE:
	case PLAY_HALFCLOSE:
		c->phase = PHASE_END;
		break;
	case PLAY_UP:
	case PLAY_SILENT:
	case PLAY_IDLE:
		break;
	}
}

static void on_eof(void *user, struct peer *p)
{
	struct call *c = user;

	(void)p;
	if (guest_play_of(c) == PLAY_RAW) {
		strcpy(c->g->tally.outcome, "eof");
		guest_succeed(c);
	} else if (guest_play_of(c) == PLAY_EXPECT_RESET) {
		guest_complain(c, "end of stream instead of a reset");
	} else if (c->phase == PHASE_END && guest_play_of(c) != PLAY_PROBE) {
		guest_succeed(c);
	} else {
		guest_complain(c, "the server ended the connection too early");
	}
}

/* A reset, or a refusal to connect: what does the scenario say of it? */
static void on_reset(struct call *c, int err)
{
	struct tally *t = &c->g->tally;

	tally_reset(t, uv_hrtime() - c->lap_ns);
	switch (guest_play_of(c)) {
	case PLAY_RAW:
		strcpy(t->outcome, "reset");
		guest_succeed(c);
		return;
	case PLAY_EXPECT_RESET:
		if (c->phase == PHASE_END)
			guest_succeed(c);
		else
			guest_complain(c, "reset before all bytes were here");
		return;
	case PLAY_EXPECT_REFUSED:
		if (peer_received(c->peer) == 0)
			guest_succeed(c);
		else
			guest_complain(c, "reset, but bytes came before");
		return;
	default:
		break;
	}
	if (c->g->resets_ok)
		guest_succeed(c);
	else
		guest_complain(c, err == ECONNREFUSED ? "connection refused" :
		    "connection reset");
}

static void on_failed(void *user, struct peer *p, int err)
{
	struct call *c = user;
	char what[128];

	switch (err) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		on_reset(c, err);
		return;
	case EILSEQ:
		(void)snprintf(what, sizeof(what), "byte %" PRIu64 " of what "
		    "came is wrong", peer_place(p));
		guest_complain(c, what);
		return;
	case EPROTO:
		guest_complain(c, "bytes came though none were expected");
		return;
	default:
		guest_complain(c, strerror(err));
		return;
	}
}

const struct peer_ops guest_call_ops = {
	.on_connected = on_connected,
	.on_received = on_received,
	.on_eof = on_eof,
	.on_failed = on_failed
};
