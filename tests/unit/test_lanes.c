/* The client's end, against a real gate; the test is HTTP and the clock. */
#include "config.h"

#include "common/lanes.h"

#include <string.h>

#include "common/cwnd.h"
#include "common/err.h"
#include "common/gate.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

static struct gate *gate;
static struct gate_config gate_cfg;
static struct lanes *lanes;
static struct lanes_config cfg;
static enum hello_status verdict;
static uint64_t now_ms;

/* What the client asked of HTTP. */
static struct call {
	bool open, fresh, woken;
	bool query;
	unsigned number, path;
	const uint8_t *body;
	size_t len;
	struct gate_exchange *x;
} call[LANES_SLOTS];
static unsigned posts, moves, cancels, states, silences;
static unsigned posts_elsewhere, queries_elsewhere;	/* not by the first path */
static uint64_t arrived_ms;	/* a byte came last; 0: not known */
static enum lanes_state state;
static char why[256];
static uint64_t reset_code;
static struct stream *far_end;	/* the one opened last, at the gateway */

/* ---- gateway ---------------------------------------------------------- */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	(void)ctx;
	(void)key;
	*device = NULL;
	return verdict;
}

/* Domino's part: says welcome, and answers whatever it is asked. */
static void on_question(void *user, struct stream *st)
{
	ignore_data(user, st);
	(void)stream_write(st, "answer", 6);
}

static const struct stream_ops far_ops = { on_question, ignore_stream,
    ignore_reset };

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)len;
	stream_attach(st, &far_ops, NULL);
	far_end = st;
	CU_ASSERT_EQUAL(stream_write(st, "welcome", 7), 7);
}

static const struct gate_ops gate_ops = { authorize, ignore_session,
    ignore_session_end, on_open, ignore_wake, ignore_note, NULL, NULL };

static void new_gate(void)
{
	gate_free(gate);
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &gate_cfg, &gate_ops, NULL),
	    0);
}

/* ---- HTTP ------------------------------------------------------------- */

static void post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	(void)ctx;
	CU_ASSERT_FALSE(call[slot].open);
	CU_ASSERT_TRUE(path < LANES_PATHS);
	call[slot] = (struct call){ .open = true, .fresh = fresh,
	    .body = body, .len = len, .path = path, .number = ++posts };
	posts_elsewhere += path > 0;
}

static void query(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	CU_ASSERT_TRUE(len <= gate_cfg.query_max);
	post(ctx, slot, body, len, path, fresh);
	call[slot].query = true;
	queries_elsewhere += path > 0;
}

static void move(void *ctx, unsigned from, unsigned to)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[from].open);
	CU_ASSERT_FALSE(call[to].open);
	call[to] = call[from];
	call[from] = (struct call){ 0 };
	moves++;
}

static void cancel(void *ctx, unsigned slot)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[slot].open);
	gate_exchange_free(call[slot].x);
	call[slot] = (struct call){ 0 };
	cancels++;
}

static void on_state(void *ctx, enum lanes_state st, const char *text)
{
	(void)ctx;
	state = st;
	states++;
	strncpy(why, text, sizeof(why) - 1);
}

static void on_silence(void *ctx, uint64_t silent_ms)
{
	(void)ctx;
	(void)silent_ms;
	silences++;
}

static uint64_t arrived(void *ctx, unsigned slot)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[slot].open);
	return arrived_ms == 0 ? UINT64_MAX : now_ms - arrived_ms;
}

static uint32_t random_bits(void *ctx)
{
	(void)ctx;
	return 0x12345678;
}

static const struct lanes_ops ops = {
	.arrived = arrived,
	.post = post,
	.query = query,
	.move = move,
	.cancel = cancel,
	.on_state = on_state,
	.on_wake = ignore_wake,
	.random = random_bits,
	.on_silence = on_silence,
};

static void on_ready(void *ctx)
{
	((struct call *)ctx)->woken = true;
}

/* The call fails: a status, a connection that breaks, or a strange page. */
static void fail(unsigned slot, enum lanes_result result, unsigned status)
{
	CU_ASSERT_TRUE_FATAL(call[slot].open);
	gate_exchange_free(call[slot].x);
	call[slot] = (struct call){ 0 };
	lanes_on_end(lanes, slot, result, status, "the connection broke",
	    now_ms);
	lanes_run(lanes, now_ms);
}

/* Hand the request to the gate, if that has not been done. */
static void arrive(struct call *c)
{
	if (c->x != NULL)
		return;
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&c->x, gate, cfg.id,
	    on_ready, c), 0);
	gate_exchange_body(c->x, c->body, c->len, now_ms);
	gate_exchange_body_end(c->x, now_ms);
}

/* Pass on whatever the gate has to say to one call. True: it ended. */
static bool answer(unsigned slot)
{
	static uint8_t out[65536];
	struct call *c = &call[slot];
	bool done = false;
	size_t n;

	if (gate_exchange_state(c->x) == GATE_REFUSED) {
		fail(slot, LANES_STATUS, 404);
		return true;
	}
	while (gate_exchange_state(c->x) == GATE_READY && !done) {
		n = gate_exchange_pull(c->x, out, sizeof(out), &done, now_ms);
		lanes_on_body(lanes, slot, out, n, now_ms);
	}
	if (!done)
		return false;
	gate_exchange_free(c->x);
	*c = (struct call){ 0 };
	lanes_on_end(lanes, slot, LANES_DONE, 200, "", now_ms);
	return true;
}

/* Let everything happen that can happen now. */
static void settle(void)
{
	bool again = true;

	while (again) {
		again = false;
		lanes_run(lanes, now_ms);
		for (unsigned i = 0; i < LANES_SLOTS; i++) {
			if (!call[i].open)
				continue;
			arrive(&call[i]);
			gate_run(gate, now_ms);
			again |= answer(i);
		}
	}
}

static unsigned open_calls(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LANES_SLOTS; i++)
		n += call[i].open;
	return n;
}

/* The slot of the call that began first. */
static unsigned oldest(void)
{
	unsigned best = LANES_SLOTS;

	for (unsigned i = 0; i < LANES_SLOTS; i++)
		if (call[i].open && (best == LANES_SLOTS ||
		    call[i].number < call[best].number))
			best = i;
	CU_ASSERT_TRUE_FATAL(best < LANES_SLOTS);
	return best;
}

static void pass(uint64_t ms)
{
	now_ms += ms;
	lanes_run(lanes, now_ms);
}

static void rest(unsigned seconds)
{
	for (unsigned i = 0; i < 10 * seconds; i++) {
		now_ms += 100;
		settle();
	}
}

static void setup(void)
{
	static struct noise_keys keys, device;
	static bool have_keys;

	if (!have_keys) {
		noise_keys_generate(&keys);
		noise_keys_generate(&device);
		have_keys = true;
	}
	now_ms = 100000;
	posts = moves = cancels = states = silences = 0;
	posts_elsewhere = queries_elsewhere = 0;
	arrived_ms = 0;
	state = LANES_DOWN;
	verdict = HELLO_CREATED;
	reset_code = 0;
	memset(call, 0, sizeof(call));
	gate_defaults(&gate_cfg);
	gate_cfg.keys = keys;
	gate = NULL;
	new_gate();
	lanes_defaults(&cfg);
	cfg.device = device;
	memcpy(cfg.gateway, keys.pub, 32);
	memcpy(cfg.id, "sixteen bytes id", 16);
	CU_ASSERT_EQUAL_FATAL(lanes_new(&lanes, &cfg, &ops, NULL), 0);
}

static void teardown(void)
{
	for (unsigned i = 0; i < LANES_SLOTS; i++)
		gate_exchange_free(call[i].x);
	lanes_free(lanes);
	gate_free(gate);
	gate = NULL;
}

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)user;
	(void)st;
	reset_code = code;
}

static const struct stream_ops stream_ops = { ignore_stream, ignore_stream,
    on_reset };

static struct stream *open_stream(void)
{
	struct stream *st = NULL;

	CU_ASSERT_EQUAL_FATAL(lanes_open(lanes, NULL, &st), 0);
	stream_attach(st, &stream_ops, NULL);
	return st;
}

/* ---- tests ------------------------------------------------------------ */

static void test_greets_then_parks_a_request(void)
{
	struct stream *st;

	setup();
	CU_ASSERT_EQUAL(lanes_open(lanes, NULL, &st), ERR_STATE);
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(posts, 1);
	CU_ASSERT_TRUE(call[LANES_HELLO].open);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	pass(cfg.quiet_ms);
	settle();
	CU_ASSERT_EQUAL(open_calls(), 1);
	teardown();
}

static void test_a_transaction_costs_one_exchange(void)
{
	struct stream *st;
	unsigned before;

	setup();
	lanes_set_http2(lanes, true);
	settle();
	pass(cfg.quiet_ms);
	settle();
	st = open_stream();
	settle();
	before = posts;
	for (int i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(stream_write(st, "ask", 3), 3);
		settle();
		CU_ASSERT_EQUAL(posts, before + 1 + (unsigned)i);
		CU_ASSERT_TRUE(open_calls() <= 2);
	}
	teardown();
}

static void test_an_idle_session_costs_little(void)
{
	unsigned before;

	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	before = posts;
	for (int i = 0; i < 600; i++) {		/* ten minutes */
		now_ms += 1000;
		settle();
	}
	CU_ASSERT_TRUE(posts - before <= 30);
	teardown();
}

static void test_tries_again_at_growing_intervals(void)
{
	uint64_t longest = 0, at;

	setup();
	lanes_run(lanes, now_ms);
	for (int i = 0; i < 20; i++) {
		fail(LANES_HELLO, LANES_FAILED, 0);
		CU_ASSERT_EQUAL(open_calls(), 0);
		at = lanes_deadline(lanes);
		CU_ASSERT_TRUE_FATAL(at > now_ms && at != UINT64_MAX);
		if (at - now_ms > longest)
			longest = at - now_ms;
		now_ms = at;
		lanes_run(lanes, now_ms);
		CU_ASSERT_TRUE_FATAL(call[LANES_HELLO].open);
	}
	CU_ASSERT_STRING_EQUAL(why, "the connection broke");
	CU_ASSERT_TRUE(longest <= cfg.retry_max_ms);
	CU_ASSERT_TRUE(longest >= cfg.retry_max_ms / 2);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_someone_who_knocks_shortens_the_wait(void)
{
	uint64_t before;

	setup();
	lanes_run(lanes, now_ms);
	for (int i = 0; i < 10; i++) {
		fail(LANES_HELLO, LANES_STATUS, 502);
		if (i < 9)
			pass(lanes_deadline(lanes) - now_ms);
	}
	before = lanes_deadline(lanes);
	lanes_knock(lanes, now_ms);
	CU_ASSERT_TRUE(lanes_deadline(lanes) < before);
	CU_ASSERT_TRUE(lanes_deadline(lanes) > now_ms);	/* but not at once */
	teardown();
}

static void test_says_why_it_is_down(void)
{
	setup();
	lanes_run(lanes, now_ms);
	fail(LANES_HELLO, LANES_STATUS, 404);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "404"));
	pass(5000);
	fail(LANES_HELLO, LANES_STATUS, 502);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "behind it is not"));
	pass(5000);
	lanes_on_body(lanes, LANES_HELLO, (const uint8_t *)"<html>", 6,
	    now_ms);
	fail(LANES_HELLO, LANES_DONE, 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "captive portal"));
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	teardown();
}

static void test_a_refused_device_is_told_and_tries_seldom(void)
{
	setup();
	verdict = HELLO_REVOKED_DEVICE;
	lanes_run(lanes, now_ms);
	arrive(&call[LANES_HELLO]);
	CU_ASSERT_TRUE(answer(LANES_HELLO));
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "refused this device"));
	CU_ASSERT_TRUE(lanes_deadline(lanes) >= now_ms + cfg.retry_max_ms);
	teardown();
}

/* With answers that come at once, it is clear soon what takes too long. */
static struct stream *used_to_quick_answers(void)
{
	struct stream *st;

	setup();
	lanes_set_http2(lanes, true);
	settle();
	st = open_stream();
	for (int i = 0; i < 50; i++) {
		(void)stream_write(st, "ask", 3);
		settle();
		pass(50);
		settle();
	}
	CU_ASSERT_EQUAL(moves, 0);
	return st;
}

static void test_a_question_that_waits_for_long_is_repeated_elsewhere(void)
{
	struct stream *st = used_to_quick_answers();
	unsigned before = posts;
	const uint8_t *p;

	ignore_data(NULL, st);
	(void)stream_write(st, "ask", 3);
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(posts, before + 1);
	CU_ASSERT_TRUE(lanes_deadline(lanes) <= now_ms + 200);
	pass(200);
	CU_ASSERT_TRUE(moves > 0);
	CU_ASSERT_EQUAL(posts, before + 1 + moves);
	/* What was repeated arrives; the first request never does. */
	for (unsigned i = LANES_HELLO + 1; i < LANES_SLOTS; i++)
		if (call[i].open)
			fail(i, LANES_FAILED, 0);
	settle();
	settle();
	CU_ASSERT_EQUAL(stream_peek(st, &p), 6);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

/* It may come in many pieces, of which none can be read yet. */
static void test_an_answer_that_is_arriving_is_not_asked_for_again(void)
{
	struct stream *st = used_to_quick_answers();

	ignore_data(NULL, st);
	(void)stream_write(st, "ask", 3);
	lanes_run(lanes, now_ms);
	for (int i = 0; i < 20; i++) {
		arrived_ms = now_ms;
		pass(10);
	}
	CU_ASSERT_EQUAL(moves, 0);
	pass(200);
	CU_ASSERT_TRUE(moves > 0);
	teardown();
}

static void test_a_slow_server_is_not_asked_twice_for_ever(void)
{
	struct stream *st = used_to_quick_answers();
	struct lanes_stats stats;

	for (int i = 0; i < 400; i++) {
		(void)stream_write(st, "ask", 3);
		lanes_run(lanes, now_ms);
		pass(200);
		settle();
	}
	lanes_get_stats(lanes, &stats);
	CU_ASSERT_TRUE(stats.hedged > 0);
	CU_ASSERT_TRUE(stats.hedged < 40);	/* it is what is usual now */
	teardown();
}

static void test_a_cut_exchange_is_repeated_at_once_then_slowly(void)
{
	unsigned before, failures;
	uint64_t began;
	struct stream *st;

	setup();
	lanes_set_http2(lanes, true);
	settle();
	pass(cfg.quiet_ms);
	settle();
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(st, "x", 1), 1);
	before = posts;
	began = now_ms;
	lanes_run(lanes, now_ms);
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (call[i].open)
			fail(i, LANES_FAILED, 0);
	CU_ASSERT_EQUAL(state, LANES_UP);	/* it may be nothing */
	CU_ASSERT_EQUAL(posts, before + 2);	/* one tries the path */
	CU_ASSERT_EQUAL(open_calls(), 1);
	for (failures = 0; state == LANES_UP && failures < 50; failures++) {
		CU_ASSERT_TRUE(call[oldest()].fresh);
		fail(oldest(), LANES_FAILED, 0);
		CU_ASSERT_EQUAL(open_calls(), 0);
		if (state == LANES_UP)		/* it may be over soon */
			pass(lanes_deadline(lanes) - now_ms);
	}
	CU_ASSERT_TRUE(failures > 3);
	CU_ASSERT_TRUE(now_ms < began + 3000);
	CU_ASSERT_EQUAL(lanes_open(lanes, NULL, &st), ERR_STATE);
	pass(lanes_deadline(lanes) - now_ms);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	CU_ASSERT_EQUAL(reset_code, 0);
	teardown();
}

static void test_a_forgotten_session_is_made_anew(void)
{
	setup();
	settle();
	(void)open_stream();
	settle();
	for (unsigned i = 0; i < LANES_SLOTS; i++) {
		gate_exchange_free(call[i].x);
		call[i].x = NULL;
	}
	new_gate();				/* it was restarted */
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (call[i].open) {
			fail(i, LANES_STATUS, 502);
			break;
		}
	settle();
	pass(cfg.retry_min_ms);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	CU_ASSERT_EQUAL(reset_code, STREAM_SESSION_LOST);
	(void)open_stream();
	settle();
	teardown();
}

static void test_bodies_that_are_too_large_are_halved(void)
{
	static uint8_t data[1u << 20];
	struct lanes_stats stats;
	struct stream *st;
	size_t largest;

	setup();
	settle();
	st = open_stream();
	settle();
	(void)stream_write(st, data, sizeof(data));
	lanes_run(lanes, now_ms);
	for (unsigned i = 0; i < SESSION_LANES; i++) {
		largest = call[i].len;
		if (call[i].open && largest > 40000) {
			fail(i, LANES_STATUS, 413);
			break;
		}
	}
	lanes_get_stats(lanes, &stats);
	CU_ASSERT_EQUAL(stats.body_max, largest / 2);
	CU_ASSERT_EQUAL(state, LANES_UP);
	for (unsigned i = 0; i < SESSION_LANES; i++)
		CU_ASSERT_TRUE(call[i].len <= largest);
	settle();
	teardown();
}

static void set_up_parked(bool http2)
{
	setup();
	lanes_set_http2(lanes, http2);
	settle();
	rest(1);
}

/* Send a MiB, or what may be sent of it; returns the largest body. */
static size_t pour(struct stream *st)
{
	static uint8_t data[1u << 20];
	size_t largest = 0;

	(void)stream_write(st, data, sizeof(data));
	lanes_run(lanes, now_ms);
	for (unsigned i = 0; i < SESSION_LANES; i++) {
		if (!call[i].open || call[i].len < 4096)
			continue;
		CU_ASSERT_EQUAL(call[i].path, 0);
		if (call[i].len > largest)
			largest = call[i].len;
	}
	now_ms += 50;
	settle();
	stream_consume(far_end, stream_copy(far_end, data, sizeof(data)));
	settle();
	return largest;
}

/* As the slow start of the connection that each has to itself. */
static void test_on_http1_bodies_of_bulk_double(void)
{
	struct stream *st;
	size_t largest;

	set_up_parked(false);
	st = open_stream();
	settle();
	for (unsigned round = 0; round < 2; round++) {
		largest = pour(st);
		CU_ASSERT_TRUE(largest > 40000 && largest <= 65536);
		for (unsigned i = 0; i < 3; i++)
			largest = pour(st);
		CU_ASSERT_TRUE(largest > 65536 && largest <= 131072);
		rest(1);	/* without use, it begins anew */
	}
	teardown();
}

/* Those for bulk are held all the time, and each has its connection. */
static void test_on_http1_acks_go_by_connections_that_are_free(void)
{
	static uint8_t data[1u << 20];
	struct stream *st;

	set_up_parked(false);
	st = open_stream();
	settle();
	for (unsigned i = 0; i < 8; i++) {
		(void)stream_write(far_end, data, sizeof(data));
		gate_run(gate, now_ms);
		settle();
		stream_consume(st, stream_copy(st, data, sizeof(data)));
		now_ms += 50;
		settle();
	}
	CU_ASSERT_TRUE(queries_elsewhere > 0);
	CU_ASSERT_EQUAL(posts_elsewhere, queries_elsewhere);
	teardown();
}

/* Does what is parked now come without a body? */
static bool parks_a_query(void)
{
	CU_ASSERT_EQUAL_FATAL(open_calls(), 1);
	return call[oldest()].query;
}

static void test_what_is_held_has_no_body(void)
{
	static const uint8_t question[300];
	struct stream *st;
	unsigned held;

	set_up_parked(true);	/* no connections are warmed */
	CU_ASSERT_TRUE(parks_a_query());
	held = oldest();
	st = open_stream();
	(void)stream_write(st, question, sizeof(question));
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(open_calls(), 2);	/* too large for that */
	for (unsigned i = 0; i < LANES_SLOTS; i++)
		CU_ASSERT_EQUAL(call[i].query, i == held);
	teardown();
}

static void test_a_gateway_before_takes_bodies_only(void)
{
	setup();
	gate_cfg.query_max = 0;
	new_gate();
	settle();
	rest(1);
	CU_ASSERT_FALSE(parks_a_query());
	teardown();
}

static void test_a_path_that_refuses_queries_gets_bodies(void)
{
	set_up_parked(false);
	fail(oldest(), LANES_STATUS, 403);
	CU_ASSERT_EQUAL(state, LANES_UP);
	settle();
	rest(1);
	CU_ASSERT_FALSE(parks_a_query());
	lanes_network_changed(lanes, now_ms);	/* nothing is known of this */
	settle();
	rest(1);
	CU_ASSERT_TRUE(parks_a_query());
	teardown();
}

static void test_a_path_that_breaks_queries_off_gets_bodies(void)
{
	set_up_parked(false);
	for (unsigned i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(parks_a_query());
		fail(oldest(), LANES_FAILED, 0);
		settle();
		rest(1);
	}
	CU_ASSERT_FALSE(parks_a_query());
	teardown();
}

static void test_a_few_failed_queries_say_nothing(void)
{
	set_up_parked(false);
	for (unsigned i = 0; i < 6; i++) {
		CU_ASSERT_TRUE(parks_a_query());
		fail(oldest(), LANES_FAILED, 0);
		settle();
		rest(60);		/* some are answered */
	}
	CU_ASSERT_TRUE(parks_a_query());
	teardown();
}

/* On HTTP/2 nothing goes cold, and it costs less. */
static void test_on_http2_the_next_is_held_once_the_first_is_answered(void)
{
	unsigned before;

	set_up_parked(true);
	before = posts;
	for (unsigned i = 0; i < 2000; i++) {
		now_ms += 100;
		lanes_run(lanes, now_ms);
		CU_ASSERT_TRUE(open_calls() <= 1);
		settle();
	}
	CU_ASSERT_TRUE(posts > before + 3 && posts < before + 10);
	teardown();
}

static void test_a_burst_leaves_one_request_held(void)
{
	struct stream *st[40];

	setup();
	lanes_set_http2(lanes, true);
	settle();
	for (size_t i = 0; i < 40; i++)
		st[i] = open_stream();
	for (int turn = 0; turn < 5; turn++)
		for (size_t i = 0; i < 40; i++) {
			(void)stream_write(st[i], "ask", 3);
			lanes_run(lanes, now_ms);
		}
	settle();
	rest(5);
	CU_ASSERT_EQUAL(open_calls(), 1);
	teardown();
}

/* The gateway always has one to answer: the next comes before the end. */
static void test_a_held_request_is_replaced_in_time(void)
{
	struct gate_stats stats;

	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	for (int i = 0; i < 1000; i++) {
		now_ms += 100;
		settle();
		gate_get_stats(gate, &stats);
		CU_ASSERT_TRUE(stats.held >= 1);
	}
	teardown();
}

static uint32_t hold_ms(void)
{
	struct lanes_stats stats;

	lanes_get_stats(lanes, &stats);
	return stats.hold_ms;
}

static void test_silence_is_given_up(void)
{
	unsigned before, silent;

	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	CU_ASSERT_EQUAL(open_calls(), 1);
	before = cancels;
	silent = oldest();
	pass(hold_ms() + cfg.silence_ms - cfg.quiet_ms - 1);
	CU_ASSERT_EQUAL(cancels, before);
	CU_ASSERT_TRUE(call[silent].open);
	pass(1);
	CU_ASSERT_EQUAL(cancels, before + 1);
	CU_ASSERT_FALSE(call[silent].open);
	CU_ASSERT_TRUE(call[oldest()].fresh);	/* one that tries again */
	teardown();
}

static void test_a_new_network_begins_at_once(void)
{
	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	lanes_network_changed(lanes, now_ms);
	CU_ASSERT_EQUAL(open_calls(), 0);
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(open_calls(), 1);
	for (unsigned i = 0; i < SESSION_LANES; i++)
		if (call[i].open)
			CU_ASSERT_TRUE(call[i].fresh);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

/* Pass time until *count grows; returns how much. */
static uint64_t pass_until_more(const unsigned *count, uint64_t most_ms)
{
	unsigned before = *count;
	uint64_t start_ms = now_ms;

	while (*count == before && now_ms - start_ms < most_ms)
		pass(1);
	return now_ms - start_ms;
}

/* Nothing replaces it on HTTP/2, where the answer is missed all the same. */
static void test_a_held_request_is_to_be_answered_in_time(void)
{
	uint64_t waited;

	set_up_parked(true);
	CU_ASSERT_EQUAL(open_calls(), 1);
	waited = pass_until_more(&silences, hold_ms() + cfg.silence_ms);
	CU_ASSERT_TRUE(waited > hold_ms() - 1000);
	CU_ASSERT_TRUE(waited < hold_ms() + cfg.silence_ms / 2);
	CU_ASSERT_EQUAL(open_calls(), 2);	/* one tries the path */
	teardown();
}

/* Slot 0 is held, the exchange in slot 1 replaces it, and nothing comes. */
static void setup_silent_renewal(void)
{
	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	CU_ASSERT_EQUAL(open_calls(), 1);
	(void)pass_until_more(&posts, cfg.hold_ms);
	CU_ASSERT_TRUE(call[0].open && call[1].open);
}

/* Only the call in this slot gets through. */
static void settle_one(unsigned slot)
{
	CU_ASSERT_TRUE_FATAL(call[slot].open);
	arrive(&call[slot]);
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(answer(slot));
	lanes_run(lanes, now_ms);
}

/* It says so while it still has a request to hold. */
static void test_a_gateway_that_holds_nothing_is_not_pestered(void)
{
	unsigned before;

	setup_silent_renewal();
	gate_cfg.hold_max_ms = 0;
	gate_reconfigure(gate, &gate_cfg);
	fail(0, LANES_STATUS, 404);
	settle_one(LANES_HELLO);
	before = posts;
	for (int i = 0; i < 100; i++)		/* nobody answers */
		lanes_run(lanes, now_ms);
	CU_ASSERT_TRUE(posts - before <= 3);
	CU_ASSERT_TRUE(lanes_deadline(lanes) > now_ms);
	teardown();
}

static void test_silence_is_doubted_and_nothing_given_up_yet(void)
{
	unsigned before;
	uint64_t took_ms;

	setup_silent_renewal();
	before = cancels;
	took_ms = pass_until_more(&silences, 10000);
	CU_ASSERT_TRUE(took_ms >= 1000 && took_ms <= 3000);
	CU_ASSERT_EQUAL(cancels, before);
	CU_ASSERT_EQUAL(open_calls(), 3);
	CU_ASSERT_TRUE(call[2].fresh);
	settle_one(2);		/* so the others are dead */
	CU_ASSERT_EQUAL(cancels, before + 2);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	CU_ASSERT_EQUAL(silences, 1);
	teardown();
}

static void test_a_path_that_was_only_slow_is_kept(void)
{
	unsigned before;

	setup_silent_renewal();
	before = cancels;
	(void)pass_until_more(&silences, 10000);
	arrive(&call[0]);
	arrive(&call[1]);
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(answer(0));
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(cancels, before);
	pass(500);
	settle();
	CU_ASSERT_EQUAL(cancels, before);
	CU_ASSERT_EQUAL(silences, 1);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

/* Held exchanges do not tell whether there is more, or it is lost. */
static void test_a_pause_in_bulk_is_looked_into_once(void)
{
	static const struct stream_ops drop_ops = { ignore_data, ignore_stream,
	    on_reset };
	static uint8_t bulk[32768];
	unsigned before;

	setup();
	settle();
	stream_attach(open_stream(), &drop_ops, NULL);
	settle();
	for (int i = 0; i < 16; i++) {
		(void)stream_write(far_end, bulk, sizeof(bulk));
		settle();
		settle();
	}
	pass(100);		/* whatever is to be acknowledged */
	settle();
	settle();
	before = posts;
	CU_ASSERT_TRUE(pass_until_more(&posts, 5000) <= 1500);
	CU_ASSERT_EQUAL(posts, before + 1);
	for (int i = 0; i < 150; i++) {
		now_ms += 20;		/* its answer takes a while */
		settle();
		pass(100);
	}
	/* One more is parked for bulk, and one lets go of those held. */
	CU_ASSERT_TRUE(posts <= before + 3);
	teardown();
}

static void test_an_answer_in_time_raises_no_doubt(void)
{
	setup_silent_renewal();
	pass(500);
	settle();	/* the new one arrives */
	settle();	/* and the old one is answered */
	CU_ASSERT_EQUAL(open_calls(), 1);
	pass(10000);
	CU_ASSERT_EQUAL(silences, 0);
	teardown();
}

/* What was sent while nothing passed may be repeated by TCP much later. */
static void test_another_connection_is_tried_before_the_first_fails(void)
{
	unsigned first, before, newest = 0;
	struct lanes_stats stats;

	setup();
	settle();
	pass(cfg.quiet_ms);
	settle();
	lanes_network_changed(lanes, now_ms);
	lanes_run(lanes, now_ms);
	CU_ASSERT_EQUAL(open_calls(), 1);
	first = oldest();
	before = cancels;
	CU_ASSERT_TRUE(pass_until_more(&posts, 10000) <= 3000);
	CU_ASSERT_EQUAL(open_calls(), 2);
	CU_ASSERT_EQUAL(cancels, before);
	while (!call[newest].open || newest == first)
		newest++;
	CU_ASSERT_TRUE(call[newest].fresh);
	settle_one(newest);
	CU_ASSERT_EQUAL(cancels, before + 1);	/* the first is not waited for */
	lanes_get_stats(lanes, &stats);
	CU_ASSERT_EQUAL(stats.window, CWND_MIN);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_a_network_without_an_answer_is_told(void)
{
	setup();
	settle();
	lanes_network_changed(lanes, now_ms);
	lanes_run(lanes, now_ms);
	pass(900);
	CU_ASSERT_EQUAL(state, LANES_UP);
	for (int i = 0; i < 60; i++)
		pass(100);
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_STRING_EQUAL(why, "the gateway does not answer");
	CU_ASSERT_TRUE(open_calls() <= 8);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_a_silent_hello_is_repeated_with_growing_patience(void)
{
	uint64_t first_ms, second_ms;

	setup();
	lanes_run(lanes, now_ms);
	CU_ASSERT_TRUE(call[LANES_HELLO].open);
	first_ms = pass_until_more(&posts, 20000);
	CU_ASSERT_TRUE(call[LANES_HELLO].fresh);
	second_ms = pass_until_more(&posts, 20000);
	CU_ASSERT_TRUE(first_ms <= 2500);
	CU_ASSERT_TRUE(second_ms >= 4000 && second_ms <= 5000);
	for (int i = 0; i < 5; i++)
		(void)pass_until_more(&posts, 20000);
	lanes_network_changed(lanes, now_ms);	/* nothing of that counts now */
	lanes_run(lanes, now_ms);
	CU_ASSERT_TRUE(pass_until_more(&posts, 20000) <= 2500);
	settle();
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_a_short_hold_is_learned(void)
{
	setup();
	settle();
	for (int i = 0; i < 4; i++) {
		pass(cfg.quiet_ms);
		settle();
		pass(8000);
		fail(oldest(), LANES_STATUS, 504);
		settle();
	}
	CU_ASSERT_TRUE(hold_ms() < 8000);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_a_path_that_lets_requests_wait_is_asked_less(void)
{
	unsigned before;

	setup();
	settle();
	CU_ASSERT_EQUAL(hold_ms(), 25000);
	rest(200);
	CU_ASSERT_EQUAL(hold_ms(), cfg.hold_ms);
	before = posts;
	rest(10 * 44);
	CU_ASSERT_EQUAL(posts, before + 10);
	lanes_network_changed(lanes, now_ms);
	CU_ASSERT_EQUAL(hold_ms(), 25000);
	teardown();
}

static void test_a_long_hold_is_not_asked_of_a_path_that_cut_it(void)
{
	setup();
	settle();
	rest(120);
	CU_ASSERT_TRUE(hold_ms() > 31000);
	(void)pass_until_more(&posts, cfg.hold_ms);
	settle();
	for (int i = 0; i < 2; i++) {		/* after 30 s, both times */
		pass(30000);
		fail(oldest(), LANES_FAILED, 0);
		settle();
	}
	CU_ASSERT_EQUAL(hold_ms(), 24000);
	rest(30);
	CU_ASSERT_EQUAL(hold_ms(), 24000);	/* one that passed is not enough */
	rest(60);
	CU_ASSERT_EQUAL(hold_ms(), 30000);
	teardown();
}

static void test_keys_are_renewed_in_passing(void)
{
	struct lanes_stats stats;

	setup();
	settle();
	(void)open_stream();
	settle();
	pass(cfg.rekey_ms);
	settle();
	lanes_get_stats(lanes, &stats);
	CU_ASSERT_EQUAL(stats.hellos, 2);
	CU_ASSERT_EQUAL(stats.sessions, 1);
	CU_ASSERT_EQUAL(reset_code, 0);
	teardown();
}

static void test_a_404_from_before_the_last_hello_asks_for_no_other(void)
{
	struct lanes_stats stats;

	setup();
	settle();
	pass(cfg.rekey_ms);
	now_ms += 10;
	arrive(&call[LANES_HELLO]);
	CU_ASSERT_TRUE(answer(LANES_HELLO));
	fail(oldest(), LANES_STATUS, 404);
	CU_ASSERT_EQUAL(open_calls(), 1);	/* the lane runs again */
	pass(cfg.retry_max_ms);
	settle();
	lanes_get_stats(lanes, &stats);
	CU_ASSERT_EQUAL(stats.hellos, 2);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_says_goodbye(void)
{
	setup();
	settle();
	(void)open_stream();
	settle();
	lanes_close(lanes, now_ms);
	CU_ASSERT_EQUAL(reset_code, STREAM_SHUTDOWN);
	CU_ASSERT_FALSE(lanes_is_over(lanes));
	settle();
	CU_ASSERT_TRUE(lanes_is_over(lanes));
	teardown();
}

static void test_a_goodbye_does_not_wait_for_ever(void)
{
	setup();
	settle();
	lanes_close(lanes, now_ms);
	lanes_run(lanes, now_ms);
	now_ms = lanes_deadline(lanes);
	lanes_run(lanes, now_ms);
	CU_ASSERT_TRUE(lanes_is_over(lanes));
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "greets, then parks a request",
		    test_greets_then_parks_a_request },
		{ "a transaction costs one exchange",
		    test_a_transaction_costs_one_exchange },
		{ "an idle session costs little",
		    test_an_idle_session_costs_little },
		{ "a gateway that holds nothing is not pestered",
		    test_a_gateway_that_holds_nothing_is_not_pestered },
		{ "tries again at growing intervals",
		    test_tries_again_at_growing_intervals },
		{ "someone who knocks shortens the wait",
		    test_someone_who_knocks_shortens_the_wait },
		{ "says why it is down", test_says_why_it_is_down },
		{ "a refused device is told and tries seldom",
		    test_a_refused_device_is_told_and_tries_seldom },
		{ "a cut exchange is repeated at once, then slowly",
		    test_a_cut_exchange_is_repeated_at_once_then_slowly },
		{ "a forgotten session is made anew",
		    test_a_forgotten_session_is_made_anew },
		{ "bodies that are too large are halved",
		    test_bodies_that_are_too_large_are_halved },
		{ "on HTTP/1.1 bodies of bulk double",
		    test_on_http1_bodies_of_bulk_double },
		{ "on HTTP/1.1 ACKs go by connections that are free",
		    test_on_http1_acks_go_by_connections_that_are_free },
		{ "what is held has no body",
		    test_what_is_held_has_no_body },
		{ "a gateway before takes bodies only",
		    test_a_gateway_before_takes_bodies_only },
		{ "a path that refuses queries gets bodies",
		    test_a_path_that_refuses_queries_gets_bodies },
		{ "a path that breaks queries off gets bodies",
		    test_a_path_that_breaks_queries_off_gets_bodies },
		{ "a few failed queries say nothing",
		    test_a_few_failed_queries_say_nothing },
		{ "on HTTP/2 the next is held once the first is answered",
		    test_on_http2_the_next_is_held_once_the_first_is_answered },
		{ "a burst leaves one request held",
		    test_a_burst_leaves_one_request_held },
		{ "a held request is replaced in time",
		    test_a_held_request_is_replaced_in_time },
		{ "silence is given up", test_silence_is_given_up },
		{ "silence is doubted, and nothing given up yet",
		    test_silence_is_doubted_and_nothing_given_up_yet },
		{ "a path that was only slow is kept",
		    test_a_path_that_was_only_slow_is_kept },
		{ "a pause in bulk is looked into, once",
		    test_a_pause_in_bulk_is_looked_into_once },
		{ "an answer in time raises no doubt",
		    test_an_answer_in_time_raises_no_doubt },
		{ "another connection is tried before the first fails",
		    test_another_connection_is_tried_before_the_first_fails },
		{ "a network without an answer is told",
		    test_a_network_without_an_answer_is_told },
		{ "a silent hello is repeated, with growing patience",
		    test_a_silent_hello_is_repeated_with_growing_patience },
		{ "a held request is to be answered in time",
		    test_a_held_request_is_to_be_answered_in_time },
		{ "a new network begins at once",
		    test_a_new_network_begins_at_once },
		{ "a question that waits for long is repeated elsewhere",
		    test_a_question_that_waits_for_long_is_repeated_elsewhere },
		{ "an answer that is arriving is not asked for again",
		    test_an_answer_that_is_arriving_is_not_asked_for_again },
		{ "a slow server is not asked twice for ever",
		    test_a_slow_server_is_not_asked_twice_for_ever },
		{ "a short hold is learned", test_a_short_hold_is_learned },
		{ "a path that lets requests wait is asked less",
		    test_a_path_that_lets_requests_wait_is_asked_less },
		{ "a long hold is not asked of a path that cut it",
		    test_a_long_hold_is_not_asked_of_a_path_that_cut_it },
		{ "keys are renewed in passing",
		    test_keys_are_renewed_in_passing },
		{ "a 404 from before the last hello asks for no other",
		    test_a_404_from_before_the_last_hello_asks_for_no_other },
		{ "says goodbye", test_says_goodbye },
		{ "a goodbye does not wait for ever",
		    test_a_goodbye_does_not_wait_for_ever },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
