/* What every connection does: stalls, transactions, and its end. */
#include "config.h"

#include "tests/support/guest_impl.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- the end of a connection, and of all ------------------------------ */

static void all_done(struct guest *g)
{
	g->tally.ended_ns = uv_hrtime();
	uv_close((uv_handle_t *)&g->deadline, NULL);
	uv_close((uv_handle_t *)&g->reporter, NULL);
	uv_close((uv_handle_t *)&g->go_on, NULL);
}

/* Once all are held, but for those that were refused. */
static void say_held(struct guest *g)
{
	if (g->said_held || g->held == 0 || g->held < g->left)
		return;
	g->said_held = true;
	puts("held");
	fflush(stdout);
}

static void finish(struct call *c, bool reset)
{
	struct guest *g = c->g;

	if (c->phase == PHASE_DONE)
		return;
	c->phase = PHASE_DONE;
	if (c->peer != NULL) {
		g->tally.bytes_up += peer_sent(c->peer);
		g->tally.bytes_down += peer_received(c->peer);
		if (reset)
			peer_reset(c->peer);
		else
			peer_close(c->peer);
	}
	uv_close((uv_handle_t *)&c->timer, NULL);
	if (--g->left == 0)
		all_done(g);
	say_held(g);
}

void guest_succeed(struct call *c)
{
	c->g->tally.done++;
	finish(c, false);
}

void guest_complain(struct call *c, const char *what)
{
	fprintf(stderr, "guest: connection %" PRIu64 ": %s (sent %" PRIu64
	    ", received %" PRIu64 ")\n", c->index, what,
	    c->peer != NULL ? peer_sent(c->peer) : 0,
	    c->peer != NULL ? peer_received(c->peer) : 0);
	tally_error(&c->g->tally, "connection %" PRIu64 ": %s (sent %" PRIu64
	    ", received %" PRIu64 ")", c->index, what,
	    c->peer != NULL ? peer_sent(c->peer) : 0,
	    c->peer != NULL ? peer_received(c->peer) : 0);
	finish(c, true);
}

/* ---- stalls ----------------------------------------------------------- */

void guest_stall_over(struct call *c)
{
	if (!c->stalling)
		return;
	c->stalling = false;
	peer_allow(c->peer, PEER_UNLIMITED);
}

static void on_stall_over(uv_timer_t *timer)
{
	guest_stall_over(timer->data);
}

void guest_start_stall(struct call *c)
{
	struct guest *g = c->g;

	if (g->stall_after == SCRIPT_NO_STALL || g->server_stalls)
		return;
	c->stalling = true;
	peer_allow(c->peer, g->stall_after);
	if (g->stall_ms > 0)
		uv_timer_start(&c->timer, on_stall_over, g->stall_ms, 0);
	if (++g->stalled == g->connections) {
		puts("stalled");
		fflush(stdout);
	}
}

/* ---- transactions ----------------------------------------------------- */

void guest_send_up(struct call *c, uint64_t len)
{
	peer_send(c->peer, script_seed_up(&c->script), c->up_done, len);
	c->up_done += len;
}

void guest_expect_down(struct call *c, uint64_t len)
{
	peer_expect(c->peer, script_seed_down(&c->script), c->down_done, len);
	c->down_done += len;
}

void guest_start_transaction(struct call *c)
{
	c->lap_ns = uv_hrtime();
	guest_expect_down(c, c->script.down);
	guest_send_up(c, c->script.up);
}

static void on_interval(uv_timer_t *timer)
{
	guest_start_transaction(timer->data);
}

static void on_held(struct call *c)
{
	c->phase = PHASE_HELD;
	c->g->held++;
	say_held(c->g);
}

void guest_on_transaction_done(struct call *c)
{
	struct guest *g = c->g;

	tally_lap(&g->tally, uv_hrtime() - c->lap_ns);
	c->transactions++;
	switch (guest_play_of(c)) {
	case PLAY_RESET:
		g->tally.done++;
		finish(c, true);
		return;
	case PLAY_EXPECT_REFUSED:
		guest_complain(c, "was served, though it should be refused");
		return;
	case PLAY_HOLD:
		if (c->again)
			guest_succeed(c);
		else
			on_held(c);
		return;
	default:
		break;
	}
	if (c->transactions >= g->count)
		guest_succeed(c);
	else if (g->interval_ms > 0)
		uv_timer_start(&c->timer, on_interval, g->interval_ms, 0);
	else
		guest_start_transaction(c);
}
