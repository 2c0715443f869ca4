/*
 * Duplex lanes, the client's end against a real gate; the test is HTTP and the
 * clock, and keeps request or response bodies until they are whole, or not.
 */
#include "config.h"

#include "common/lanes.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/gate.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define BODY_ROOM 1048576u
#define RTT_MS 20u		/* passes with each transaction */

static struct gate *gate;
static struct gate_config gate_cfg;
static struct lanes *lanes;
static struct lanes_config cfg;
static uint64_t now_ms;
static struct stream *far_end, *stream;
static unsigned answers, answer_bytes;

/* What the client asked of HTTP. */
static struct call {
	bool open, goes_on;
	uint64_t since_ms;	/* more came behind what is handed on */
	uint8_t *body;		/* our copy, while the call is open */
	size_t len, fed;
	uint8_t *kept;		/* of the response */
	size_t kept_len;
	struct gate_exchange *x;
	bool whole;
} call[LANES_SLOTS];
static unsigned posts, fresh_posts, moves, opens, opens_apart;
static size_t longest, unsent_bytes, question_len;
static bool keeps_up, keeps_down;
static unsigned waits_ms;	/* for more of a body, behind its beginning */
static bool spoils;		/* the next piece of a response */

/* ---- gateway ---------------------------------------------------------- */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	(void)ctx;
	(void)key;
	*device = NULL;
	return HELLO_CREATED;
}

static void on_question(void *user, struct stream *st)
{
	ignore_data(user, st);
	(void)stream_write(st, "answer", 6);
}

static void on_answer(void *user, struct stream *st)
{
	const uint8_t *p;
	size_t n;

	(void)user;
	while ((n = stream_peek(st, &p)) > 0) {
		answer_bytes += (unsigned)n;
		stream_consume(st, n);
	}
	answers += answer_bytes / 6;
	answer_bytes %= 6;
}

static const struct stream_ops far_ops = { on_question, ignore_stream,
    ignore_reset };
static const struct stream_ops near_ops = { on_answer, ignore_stream,
    ignore_reset };

static void on_open_stream(void *ctx, struct gate_session *gs,
    struct stream *st, const char *name, size_t len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)len;
	stream_attach(st, &far_ops, NULL);
	far_end = st;
}

static const struct gate_ops gate_ops = {
	.authorize = authorize,
	.on_session = ignore_session,
	.on_session_end = ignore_session_end,
	.on_open = on_open_stream,
	.on_wake = ignore_wake,
	.on_note = ignore_note,
};

/* ---- HTTP ------------------------------------------------------------- */

static void forget(struct call *c)
{
	gate_exchange_free(c->x);
	free(c->body);
	free(c->kept);
	*c = (struct call){ 0 };
}

static void post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	struct call *c = &call[slot];

	(void)ctx;
	CU_ASSERT_FALSE_FATAL(c->open);
	CU_ASSERT_TRUE(path < LANES_PATHS);
	*c = (struct call){ .open = true, .len = len,
	    .body = malloc(BODY_ROOM) };
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->body);
	memcpy(c->body, body, len);
	posts++;
	fresh_posts += fresh;
}

static void open_body(void *ctx, unsigned slot, const uint8_t *body,
    size_t len, unsigned path, bool fresh)
{
	post(ctx, slot, body, len, path, fresh);
	call[slot].goes_on = true;
	opens++;
	if (path == LANES_PATHS - 1)
		opens_apart++;
}

static void append(void *ctx, unsigned slot, const uint8_t *data, size_t len)
{
	struct call *c = &call[slot];

	(void)ctx;
	CU_ASSERT_TRUE_FATAL(c->open && c->goes_on);
	CU_ASSERT_TRUE_FATAL(len <= BODY_ROOM - c->len);
	if (c->fed == c->len)
		c->since_ms = now_ms;
	memcpy(c->body + c->len, data, len);
	c->len += len;
	if (c->len > longest)
		longest = c->len;
}

static void finish(void *ctx, unsigned slot)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[slot].open && call[slot].goes_on);
	call[slot].goes_on = false;
}

static size_t unsent(void *ctx, unsigned slot)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[slot].open && call[slot].goes_on);
	return unsent_bytes;
}

static void move(void *ctx, unsigned from, unsigned to)
{
	(void)ctx;
	CU_ASSERT_TRUE(call[from].open && !call[to].open);
	call[to] = call[from];
	call[from] = (struct call){ 0 };
	moves++;
}

static void cancel(void *ctx, unsigned slot)
{
	(void)ctx;
	forget(&call[slot]);
}

static void on_state(void *ctx, enum lanes_state st, const char *text)
{
	(void)ctx;
	(void)st;
	(void)text;
}

static uint32_t random_bits(void *ctx)
{
	(void)ctx;
	return 0x12345678;
}

static const struct lanes_ops ops = {
	.post = post,
	.move = move,
	.cancel = cancel,
	.on_state = on_state,
	.on_wake = ignore_wake,
	.random = random_bits,
	.open = open_body,
	.append = append,
	.finish = finish,
	.unsent = unsent,
};

/* Hand on what has come of the request, unless it is kept until it is whole. */
static void feed(struct call *c)
{
	if (c->goes_on && c->fed > 0 && now_ms < c->since_ms + waits_ms)
		return;
	/* A move copies the call, so that nothing may point to it. */
	if (c->x == NULL)
		CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&c->x, gate, cfg.id,
		    ignore_wake, NULL), 0);
	if (c->whole || (keeps_up && c->goes_on))
		return;
	gate_exchange_body(c->x, c->body + c->fed, c->len - c->fed, now_ms);
	c->fed = c->len;
	if (c->goes_on)
		return;
	c->whole = true;
	gate_exchange_body_end(c->x, now_ms);
}

static void keep(struct call *c, const uint8_t *data, size_t len)
{
	c->kept = realloc(c->kept, c->kept_len + len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->kept);
	memcpy(c->kept + c->kept_len, data, len);
	c->kept_len += len;
}

/* Pass on what the gate has to say. True: it was the end. */
static bool answer(unsigned slot)
{
	static uint8_t out[65536];
	struct call *c = &call[slot], ended;
	bool done = false;
	size_t n;

	while (c->whole && gate_exchange_state(c->x) == GATE_READY && !done) {
		n = gate_exchange_pull(c->x, out, sizeof(out), &done, now_ms);
		if (spoils && n > 0) {
			out[n - 1] ^= 1;
			spoils = false;
		}
		if (keeps_down && n > 0)
			keep(c, out, n);
		else if (n > 0)
			lanes_on_body(lanes, slot, out, n, now_ms);
	}
	if (!done)
		return false;
	ended = *c;
	*c = (struct call){ 0 };
	if (ended.kept_len > 0)
		lanes_on_body(lanes, slot, ended.kept, ended.kept_len, now_ms);
	lanes_on_end(lanes, slot, LANES_DONE, 200, "", now_ms);
	forget(&ended);
	return true;
}

static bool is_behind(const struct call *c)
{
	return !c->whole && c->fed < c->len &&
	    !(c->goes_on && (keeps_up || waits_ms > 0));
}

/* Let everything happen that can happen now. */
static void settle(void)
{
	bool again = true;
	unsigned before;

	while (again) {
		again = false;
		before = answers;
		lanes_run(lanes, now_ms);
		for (unsigned i = 0; i < LANES_SLOTS; i++) {
			if (!call[i].open)
				continue;
			feed(&call[i]);
			gate_run(gate, now_ms);
			again |= answer(i);
		}
		for (unsigned i = 0; i < LANES_SLOTS; i++)
			again |= call[i].open && (is_behind(&call[i]) ||
			    (call[i].whole && gate_exchange_state(call[i].x) ==
			    GATE_READY));
		again |= answers != before;
	}
}

static void pass(uint64_t ms)
{
	uint64_t end = now_ms + ms, at;

	while (now_ms < end) {
		at = lanes_deadline(lanes);
		if (gate_deadline(gate) < at)
			at = gate_deadline(gate);
		now_ms = at <= now_ms ? now_ms + 1 : at < end ? at : end;
		gate_run(gate, now_ms);
		settle();
	}
}

/* One question; its answer comes a round trip later. */
static void ask(void)
{
	static const uint8_t question[2000];

	CU_ASSERT_EQUAL(stream_write(stream, question, question_len),
	    question_len);
	now_ms += RTT_MS / 2;
	settle();
	pass(RTT_MS / 2);
}

static void ask_often(unsigned n)
{
	while (n-- > 0)
		ask();
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
	posts = moves = opens = opens_apart = answers = answer_bytes = 0;
	longest = unsent_bytes = fresh_posts = waits_ms = 0;
	question_len = 3;
	keeps_up = keeps_down = spoils = false;
	memset(call, 0, sizeof(call));
	gate_defaults(&gate_cfg);
	gate_cfg.keys = keys;
	lanes_defaults(&cfg);
	cfg.device = device;
	memcpy(cfg.gateway, keys.pub, 32);
	memcpy(cfg.id, "sixteen bytes id", 16);
}

static void start(void)
{
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &gate_cfg, &gate_ops, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(lanes_new(&lanes, &cfg, &ops, NULL), 0);
	lanes_set_http2(lanes, true);
	settle();
	pass(50);
	CU_ASSERT_EQUAL_FATAL(lanes_open(lanes, NULL, &stream), 0);
	stream_attach(stream, &near_ops, NULL);
	settle();
}

static void teardown(void)
{
	for (unsigned i = 0; i < LANES_SLOTS; i++)
		forget(&call[i]);
	lanes_free(lanes);
	gate_free(gate);
}

static struct lanes_stats stats(void)
{
	struct lanes_stats now;

	lanes_get_stats(lanes, &now);
	return now;
}

static bool is_duplex(void)
{
	return stats().duplex;
}

static uint64_t streamed(void)
{
	return stats().streamed;
}

static unsigned open_bodies(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LANES_SLOTS; i++)
		n += call[i].open && call[i].goes_on;
	return n;
}

/* ---- tests ------------------------------------------------------------ */

static void test_a_transaction_costs_no_exchange(void)
{
	unsigned before;

	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	before = posts;
	answers = 0;
	ask_often(100);
	CU_ASSERT_EQUAL(answers, 100);
	CU_ASSERT_TRUE(posts - before <= 2);
	CU_ASSERT_TRUE(streamed() >= 100);
	teardown();
}

static void test_a_few_questions_are_not_worth_it(void)
{
	setup();
	start();
	for (unsigned i = 0; i < 5; i++) {
		ask_often(cfg.duplex_after - 2);
		pass(1500);
	}
	CU_ASSERT_EQUAL(opens, 0);
	teardown();
}

static void test_it_can_be_switched_off(void)
{
	setup();
	cfg.duplex_after = 0;
	start();
	ask_often(200);
	CU_ASSERT_EQUAL(opens, 0);
	CU_ASSERT_EQUAL(answers, 200);
	teardown();
}

/* Whatever is kept, all is answered at once, and it is not tried again soon. */
static void keeps(bool up, bool down)
{
	setup();
	keeps_up = up;
	keeps_down = down;
	start();
	for (unsigned i = 0; i < 200; i++) {
		ask();
		CU_ASSERT_EQUAL(answers, i + 1);
	}
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(opens, 1);
	CU_ASSERT_EQUAL(moves, 0);
	pass(600000);
	ask_often(200);
	CU_ASSERT_EQUAL(opens, 2);
	pass(600000);
	ask_often(200);
	CU_ASSERT_EQUAL(opens, 2);
	teardown();
}

static void test_a_path_that_keeps_requests_is_found_out(void)
{
	keeps(true, false);
}

static void test_a_path_that_keeps_responses_is_found_out(void)
{
	keeps(false, true);
}

/* Until the path has shown what it does nothing but a PING goes that way. */
static void test_nothing_depends_on_it_before_it_is_shown(void)
{
	setup();
	keeps_down = true;
	start();
	ask_often(cfg.duplex_after);
	CU_ASSERT_EQUAL_FATAL(opens, 1);
	CU_ASSERT_EQUAL(open_bodies(), 1);
	answers = 0;
	CU_ASSERT_EQUAL(stream_write(far_end, "answer", 6), 6);
	settle();
	CU_ASSERT_EQUAL(answers, 1);
	teardown();
}

/* What goes by it is repeated elsewhere; then it is left alone for a while. */
static void begins_to_keep(bool up, bool down)
{
	uint64_t asked, hedged;

	setup();
	start();
	ask_often(cfg.duplex_after + 50);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	keeps_up = up;
	keeps_down = down;
	answers = 0;
	asked = now_ms;
	ask();
	CU_ASSERT_EQUAL(answers, 0);
	while (answers == 0 && now_ms - asked < 3000)
		pass(1);
	CU_ASSERT_EQUAL(answers, 1);
	CU_ASSERT_TRUE(now_ms - asked < 10 * RTT_MS);
	CU_ASSERT_FALSE(is_duplex());
	ask_often(10);
	CU_ASSERT_EQUAL(answers, 11);
	CU_ASSERT_EQUAL(open_bodies(), 0);
	/* Then it is tried again, at no question's cost. */
	hedged = stats().hedged;
	ask_often(200);
	CU_ASSERT_EQUAL(answers, 211);
	CU_ASSERT_EQUAL(stats().hedged, hedged);
	CU_ASSERT_FALSE(is_duplex());
	teardown();
}

static void test_a_path_that_begins_to_keep_requests_costs_a_hedge(void)
{
	begins_to_keep(true, false);
}

static void test_a_path_that_begins_to_keep_responses_does_too(void)
{
	begins_to_keep(false, true);
}

/* Found out by a PING, with no question in it, each time after twice as long. */
static void test_a_path_that_waits_for_more_is_found_out(void)
{
	setup();
	waits_ms = 40;
	start();
	for (unsigned i = 0; i < 60000 / RTT_MS; i++) {
		ask();
		CU_ASSERT_EQUAL_FATAL(answers, i + 1);
	}
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(streamed(), 0);
	CU_ASSERT_EQUAL(stats().hedged, 0);
	CU_ASSERT_TRUE(opens > 2 && opens <= 6);
	waits_ms = 0;
	ask_often(60000 / RTT_MS);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

static const struct stream_ops bulk_ops = { ignore_data, ignore_stream,
    ignore_reset };

/* Questions beside what pours down by another stream. */
static void ask_beside_bulk(struct stream *from, unsigned n)
{
	static uint8_t data[200000];

	while (n-- > 0) {
		(void)stream_write(from, data, sizeof(data));
		ask();
	}
}

/* There a PING may be in a queue: it is timed once that is over. */
static void test_beside_bulk_nothing_is_timed(void)
{
	struct stream *bulk;

	setup();
	start();
	CU_ASSERT_EQUAL_FATAL(lanes_open(lanes, NULL, &bulk), 0);
	stream_attach(bulk, &bulk_ops, NULL);
	settle();
	bulk = far_end;
	ask_beside_bulk(bulk, cfg.duplex_after / 2);
	waits_ms = 40;
	ask_beside_bulk(bulk, 2 * cfg.duplex_after);
	CU_ASSERT_TRUE(is_duplex());
	pass(1000);
	ask();
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(stats().hedged, 0);
	teardown();
}

/* Nothing is kept before it is in use: found out by a hedge. */
static void test_a_path_that_is_quick_at_first_is_tried_less_and_less(void)
{
	uint64_t end_ms;

	setup();
	start();
	end_ms = now_ms + 120000;
	while (now_ms < end_ms) {
		keeps_down = is_duplex();
		ask();
	}
	CU_ASSERT_TRUE(stats().hedged > 0);
	CU_ASSERT_TRUE(opens > 2 && opens <= 7);
	/* Once it is of use it is tried again as soon as at first. */
	keeps_down = false;
	while (!is_duplex())
		ask();
	ask_often(cfg.duplex_after);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	keeps_down = true;
	while (is_duplex())
		ask();
	keeps_down = false;
	pass(1000);
	ask_often(cfg.duplex_after + 2);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

static void test_an_idle_session_keeps_nothing_open(void)
{
	unsigned before;

	setup();
	start();
	ask_often(cfg.duplex_after + 50);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	CU_ASSERT_EQUAL(open_bodies(), 1);
	pass(5000);
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(open_bodies(), 0);
	before = posts;
	pass(600000);
	CU_ASSERT_TRUE(posts - before <= 30);
	/* And it is there again as soon as it is worth it. */
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

/* With the gateway's limit, or if it says nothing with that for any body. */
static void end_before(uint64_t gateway_says, uint32_t body_max)
{
	unsigned before;

	setup();
	gate_cfg.open_request_max = gateway_says;
	cfg.body_max_h2 = body_max;
	start();
	ask_often(cfg.duplex_after + 5);
	before = posts;
	answers = 0;
	ask_often(3000);
	CU_ASSERT_EQUAL(answers, 3000);
	CU_ASSERT_TRUE(longest <= 32768);
	CU_ASSERT_TRUE(opens >= 5);
	CU_ASSERT_TRUE(posts - before < 3000 / 20);
	CU_ASSERT_EQUAL(moves, 0);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

static void test_bodies_end_before_a_limit_ends_them(void)
{
	end_before(32768, 1u << 20);
	end_before(0, 32768);
}

static void test_an_open_body_may_be_longer_than_others(void)
{
	setup();
	cfg.body_max_h2 = 32768;
	question_len = 1000;
	start();
	ask_often(cfg.duplex_after + 5);
	ask_often(150);
	CU_ASSERT_TRUE(longest >= 2 * cfg.body_max_h2);
	CU_ASSERT_EQUAL(opens, 1);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

/* A web server has a limit of its own, and says so in the midst of a body. */
static void test_a_limit_on_the_way_is_learned(void)
{
	unsigned up = 0, before;
	uint32_t of_others;
	size_t limit;

	setup();
	question_len = 1000;
	start();
	ask_often(150);
	CU_ASSERT_TRUE_FATAL(longest >= 100000);
	while (!call[up].open || !call[up].goes_on)
		up++;
	limit = call[up].len;
	of_others = stats().body_max;
	forget(&call[up]);
	lanes_on_end(lanes, up, LANES_STATUS, 413, "too large", now_ms);
	answers = 0;
	longest = 0;
	before = opens;
	ask_often(3000);
	CU_ASSERT_EQUAL(answers, 3000);
	CU_ASSERT_EQUAL(fresh_posts, 0);
	CU_ASSERT_TRUE(is_duplex());
	CU_ASSERT_TRUE(longest <= limit / 2);
	CU_ASSERT_TRUE(opens - before >= 2);
	CU_ASSERT_EQUAL(stats().body_max, of_others);
	/* It is one of this network. */
	lanes_network_changed(lanes, now_ms);
	settle();
	longest = 0;
	ask_often(150);
	CU_ASSERT_TRUE(is_duplex());
	CU_ASSERT_TRUE(longest > limit / 2);
	teardown();
}

static void test_a_busy_connection_is_left_alone(void)
{
	uint64_t before;

	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	unsent_bytes = 100000;
	before = streamed();
	answers = 0;
	ask_often(20);
	CU_ASSERT_EQUAL(answers, 20);
	CU_ASSERT_EQUAL(streamed(), before);
	teardown();
}

static void test_bulk_goes_its_own_way(void)
{
	static uint8_t data[200000];
	uint64_t before;

	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	before = longest;
	CU_ASSERT_TRUE(stream_write(stream, data, sizeof(data)) > 0);
	settle();
	CU_ASSERT_TRUE(longest - before < 5000);
	teardown();
}

/* Before an upgrade nothing may stay open at the gateway. */
static void test_a_gateway_that_lets_go_is_obeyed(void)
{
	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	gate_let_go(gate, true);
	settle();
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(open_bodies(), 0);
	teardown();
}

static void test_a_failure_ends_it(void)
{
	unsigned up = 0;

	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	while (!call[up].open || !call[up].goes_on)
		up++;
	forget(&call[up]);
	lanes_on_end(lanes, up, LANES_FAILED, 0, "it broke", now_ms);
	answers = 0;
	ask_often(15);
	CU_ASSERT_EQUAL(fresh_posts, 0);	/* the rest is well */
	CU_ASSERT_FALSE(is_duplex());
	CU_ASSERT_EQUAL(answers, 15);
	CU_ASSERT_EQUAL(open_bodies(), 0);
	pass(10000);
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

static void test_a_path_that_refuses_it_is_left_in_peace(void)
{
	unsigned up = 0;

	setup();
	start();
	keeps_up = true;
	ask_often(cfg.duplex_after);
	while (!call[up].open || !call[up].goes_on)
		up++;
	forget(&call[up]);
	lanes_on_end(lanes, up, LANES_STATUS, 411, "a length is required",
	    now_ms);
	answers = 0;
	ask_often(200);
	CU_ASSERT_EQUAL(answers, 200);
	CU_ASSERT_EQUAL(opens, 1);
	CU_ASSERT_EQUAL(fresh_posts, 0);
	/* Another network may be another matter. */
	keeps_up = false;
	lanes_network_changed(lanes, now_ms);
	settle();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE(is_duplex());
	teardown();
}

static void test_a_body_that_goes_on_has_a_connection_of_its_own(void)
{
	for (unsigned http2 = 0; http2 < 2; http2++) {
		setup();
		start();
		lanes_set_http2(lanes, http2 == 1);
		ask_often(cfg.duplex_after + 5);
		CU_ASSERT_TRUE(is_duplex());
		CU_ASSERT_EQUAL(opens, 1);
		CU_ASSERT_EQUAL(opens_apart, 1);
		teardown();
	}
}

/* It would go on with what cannot be read for as long as it lasts. */
static void test_a_response_that_does_not_open_is_given_up(void)
{
	setup();
	start();
	ask_often(cfg.duplex_after + 5);
	CU_ASSERT_TRUE_FATAL(is_duplex());
	answers = 0;
	spoils = true;
	ask();
	CU_ASSERT_FALSE(spoils);
	CU_ASSERT_FALSE(is_duplex());
	pass(RTT_MS);
	CU_ASSERT_EQUAL(answers, 1);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a transaction costs no exchange",
		    test_a_transaction_costs_no_exchange },
		{ "a few questions are not worth it",
		    test_a_few_questions_are_not_worth_it },
		{ "it can be switched off",
		    test_it_can_be_switched_off },
		{ "a path that keeps requests is found out",
		    test_a_path_that_keeps_requests_is_found_out },
		{ "a path that keeps responses is found out",
		    test_a_path_that_keeps_responses_is_found_out },
		{ "nothing depends on it before it is shown",
		    test_nothing_depends_on_it_before_it_is_shown },
		{ "a path that waits for more is found out",
		    test_a_path_that_waits_for_more_is_found_out },
		{ "beside bulk nothing is timed",
		    test_beside_bulk_nothing_is_timed },
		{ "a path that is quick at first only is tried less and less",
		    test_a_path_that_is_quick_at_first_is_tried_less_and_less },
		{ "a path that begins to keep requests costs a hedge",
		    test_a_path_that_begins_to_keep_requests_costs_a_hedge },
		{ "a path that begins to keep responses does too",
		    test_a_path_that_begins_to_keep_responses_does_too },
		{ "an idle session keeps nothing open",
		    test_an_idle_session_keeps_nothing_open },
		{ "bodies end before a limit ends them",
		    test_bodies_end_before_a_limit_ends_them },
		{ "an open body may be longer than others",
		    test_an_open_body_may_be_longer_than_others },
		{ "a limit on the way is learned",
		    test_a_limit_on_the_way_is_learned },
		{ "a busy connection is left alone",
		    test_a_busy_connection_is_left_alone },
		{ "bulk goes its own way", test_bulk_goes_its_own_way },
		{ "a gateway that lets go is obeyed",
		    test_a_gateway_that_lets_go_is_obeyed },
		{ "a failure ends it", test_a_failure_ends_it },
		{ "a path that refuses it is left in peace",
		    test_a_path_that_refuses_it_is_left_in_peace },
		{ "a body that goes on has a connection of its own",
		    test_a_body_that_goes_on_has_a_connection_of_its_own },
		{ "a response that does not open is given up",
		    test_a_response_that_does_not_open_is_given_up },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
