/* Admission and its caps: several devices, several sessions of each. */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include "common/err.h"
#include "common/frame.h"
#include "common/gate.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

/* A client's end, as far as hellos and first records go. */
struct guest {
	uint8_t id[RECORD_ID_LEN];
	const struct noise_keys *device;
	struct record_key *seal;
	uint16_t generation;
};

static struct noise_keys keys, alice, bob;
static struct gate_config cfg;
static struct gate *gate;
static unsigned begun, ended, noted, seen;
static enum gate_limit last_limit;
static uint64_t last_value;
static uint8_t last_key[32];
static uint8_t last_ended[RECORD_ID_LEN];
static struct gate_session *last;
static uint64_t now_ms;

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **device)
{
	(void)ctx;
	(void)key;
	*device = NULL;
	return HELLO_CREATED;
}

static void on_session(void *ctx, struct gate_session *gs, void *device)
{
	(void)ctx;
	(void)device;
	begun++;
	last = gs;
}

static void on_session_end(void *ctx, struct gate_session *gs,
    const char *why)
{
	(void)ctx;
	(void)why;
	ended++;
	memcpy(last_ended, gate_session_id(gs), sizeof(last_ended));
}

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)name_len;
	stream_reset(st, STREAM_NO_SERVER);
}

static void on_note(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
	noted++;
}

static void on_limit(void *ctx, enum gate_limit limit, uint64_t value,
    const uint8_t key[32], const uint8_t *id)
{
	(void)ctx;
	(void)id;
	noted++;
	last_limit = limit;
	last_value = value;
	memcpy(last_key, key, sizeof(last_key));
}

static const struct gate_ops ops = { authorize, on_session, on_session_end,
    on_open, ignore_wake, on_note, NULL, on_limit };

static void setup(void)
{
	if (keys.pub[0] == 0) {
		noise_keys_generate(&keys);
		noise_keys_generate(&alice);
		noise_keys_generate(&bob);
	}
	gate_defaults(&cfg);
	cfg.keys = keys;
	begun = ended = noted = seen = 0;
	now_ms = 1000;
}

static void start(void)
{
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &cfg, &ops, NULL), 0);
}

static void teardown(struct guest *g, size_t count)
{
	for (size_t i = 0; i < count; i++)
		record_key_free(g[i].seal);
	gate_free(gate);
}

/* One request, all at once; its state after that. */
static struct gate_exchange *post(const struct guest *g, const uint8_t *body,
    size_t len)
{
	struct gate_exchange *x;

	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&x, gate, g->id, ignore_wake,
	    NULL), 0);
	gate_exchange_body(x, body, len, now_ms);
	gate_exchange_body_end(x, now_ms);
	return x;
}

/* A hello under an id that ends with this byte; what the gateway says. */
static enum hello_status greet(struct guest *g, uint8_t id,
    const struct noise_keys *device)
{
	struct hello h = { .generation = ++g->generation,
	    .initial_window = 65536, .max_streams = 8, .agent = "guest/1" };
	uint8_t out[GATE_PULL_MIN];
	struct hello_answer a;
	struct hello_keys k;
	struct gate_exchange *x;
	struct noise *n = NULL;
	bool done;
	size_t len;

	g->id[RECORD_ID_LEN - 1] = id;
	g->device = device;
	CU_ASSERT_EQUAL_FATAL(hello_start(&n, device, keys.pub, g->id, &h,
	    out, &len), 0);
	x = post(g, out, len);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_state(x), GATE_READY);
	len = gate_exchange_pull(x, out, sizeof(out), &done, now_ms);
	gate_exchange_free(x);
	CU_ASSERT_EQUAL_FATAL(hello_finish(n, out, len, &a, &k), 0);
	noise_free(n);
	if (a.status > HELLO_RESUMED)
		return a.status;
	record_key_free(g->seal);
	CU_ASSERT_EQUAL_FATAL(record_key_new(&g->seal, k.from_client,
	    h.generation, g->id), 0);
	return a.status;
}

/* A record with a PING in it; returns its length. */
static size_t seal_ping(struct guest *g, bool with_exchange, uint8_t out[128])
{
	uint8_t plain[64];
	struct wire_out w = { plain, sizeof(plain) };
	uint64_t number;
	size_t len;

	if (with_exchange)
		CU_ASSERT_EQUAL(frame_put_exchange(&w, 0, 1, 0, 1), 0);
	CU_ASSERT_EQUAL(frame_put_ping(&w, 7), 0);
	CU_ASSERT_EQUAL_FATAL(record_seal(g->seal, plain,
	    (size_t)(w.p - plain), out, &len, &number), 0);
	return len;
}

/* A request with a PING in it. False: the gateway does not know it. */
static bool speak(struct guest *g, bool with_exchange)
{
	uint8_t out[128];
	size_t len = seal_ping(g, with_exchange, out);
	struct gate_exchange *x = post(g, out, len);
	bool known;

	known = gate_exchange_state(x) == GATE_READY;
	gate_exchange_free(x);
	gate_run(gate, now_ms);
	return known;
}

/* ---- tests ------------------------------------------------------------ */

static void test_the_session_used_longest_ago_goes(void)
{
	struct guest g[4] = { 0 };

	setup();
	cfg.max_device_sessions = 2;
	start();
	CU_ASSERT_EQUAL(greet(&g[3], 9, &bob), HELLO_CREATED);
	CU_ASSERT_TRUE(speak(&g[3], true));
	for (uint8_t i = 0; i < 3; i++) {
		now_ms += 10;
		CU_ASSERT_EQUAL(greet(&g[i], i, &alice), HELLO_CREATED);
		CU_ASSERT_EQUAL(ended, 0);	/* a hello alone ends none */
		CU_ASSERT_TRUE(speak(&g[i], true));
		if (i == 1)		/* the second is now the older one */
			CU_ASSERT_TRUE(speak(&g[0], true));
	}
	CU_ASSERT_EQUAL(begun, 4);
	CU_ASSERT_EQUAL(ended, 1);
	CU_ASSERT_EQUAL(noted, 1);
	CU_ASSERT_EQUAL(last_limit, GATE_LIMIT_DEVICE_SESSIONS);
	CU_ASSERT_EQUAL(last_value, cfg.max_device_sessions);
	CU_ASSERT_EQUAL(memcmp(last_key, alice.pub, 32), 0);
	CU_ASSERT_EQUAL(last_ended[RECORD_ID_LEN - 1], 1);
	teardown(g, 4);
}

static void test_sessions_never_used_make_room(void)
{
	struct guest g[6] = { 0 };

	setup();
	cfg.max_device_sessions = 4;
	start();
	for (uint8_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(greet(&g[i], i, i == 0 ? &bob : &alice),
		    HELLO_CREATED);
	CU_ASSERT_TRUE(speak(&g[0], true));	/* another device's */
	CU_ASSERT_FALSE(speak(&g[1], true));
	for (uint8_t i = 2; i < 6; i++)
		CU_ASSERT_TRUE(speak(&g[i], true));
	teardown(g, 6);
}

static void test_sessions_that_ended_make_room(void)
{
	struct guest g[4] = { 0 };

	setup();
	cfg.max_sessions = 2;
	start();
	for (uint8_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(greet(&g[i], i, &alice), HELLO_CREATED);
		CU_ASSERT_TRUE(speak(&g[i], true));
	}
	CU_ASSERT_EQUAL(greet(&g[2], 2, &bob), HELLO_BUSY);
	gate_session_close(last, SESSION_REVOKED, "enough");
	gate_session_close(last, SESSION_REVOKED, "and once more");
	CU_ASSERT_EQUAL(ended, 1);
	CU_ASSERT_EQUAL(greet(&g[2], 2, &bob), HELLO_CREATED);
	CU_ASSERT_EQUAL(greet(&g[3], 3, &bob), HELLO_BUSY);
	teardown(g, 4);
}

static void look(void *ctx, struct gate_session *gs)
{
	CU_ASSERT_PTR_EQUAL(ctx, &seen);
	CU_ASSERT_EQUAL(memcmp(gate_session_key(gs), alice.pub, 32), 0);
	CU_ASSERT_STRING_EQUAL(gate_session_agent(gs), "guest/1");
	seen++;
}

static void test_a_session_tells_whose_it_is(void)
{
	struct guest g[2] = { 0 };

	setup();
	start();
	CU_ASSERT_EQUAL(greet(&g[0], 5, &alice), HELLO_CREATED);
	CU_ASSERT_EQUAL(greet(&g[1], 6, &bob), HELLO_CREATED);
	CU_ASSERT_TRUE(speak(&g[0], true));
	CU_ASSERT_EQUAL(memcmp(gate_session_id(last), g[0].id,
	    RECORD_ID_LEN), 0);
	gate_session_set_user(last, &seen);
	CU_ASSERT_PTR_EQUAL(gate_session_user(last), &seen);
	gate_each(gate, look, &seen);
	CU_ASSERT_EQUAL(seen, 1);	/* of bob's no record has come */
	teardown(g, 2);
}

static void test_the_sessions_of_one_device_are_closed(void)
{
	struct guest g[3] = { 0 };

	setup();
	start();
	for (uint8_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(greet(&g[i], i, i == 1 ? &bob : &alice),
		    HELLO_CREATED);
		CU_ASSERT_TRUE(speak(&g[i], true));
	}
	CU_ASSERT_EQUAL(gate_close_device(gate, alice.pub, SESSION_REVOKED,
	    "revoked"), 2);
	CU_ASSERT_EQUAL(ended, 2);
	CU_ASSERT_EQUAL(gate_close_all(gate, SESSION_SHUTDOWN, "down"), 1);
	CU_ASSERT_EQUAL(ended, 3);
	teardown(g, 3);
}

/* The table looks at the first bytes only, at first. */
static void test_ids_that_begin_alike_are_told_apart(void)
{
	struct guest g[3] = { 0 };

	setup();
	start();
	for (uint8_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(greet(&g[i], i, &alice), HELLO_CREATED);
	for (uint8_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(speak(&g[i], true));
	now_ms += cfg.linger_ms - 1;
	CU_ASSERT_TRUE(speak(&g[1], true));
	now_ms++;
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ended, 2);
	CU_ASSERT_TRUE(speak(&g[1], true));
	CU_ASSERT_FALSE(speak(&g[0], true));
	teardown(g, 3);
}

static void test_a_hello_that_is_too_long_is_refused(void)
{
	uint8_t body[HELLO_MAX + 1] = { HELLO_MARK };
	struct guest g = { 0 };
	struct gate_exchange *x;

	setup();
	start();
	x = post(&g, body, sizeof(body));
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_REFUSED);
	gate_exchange_free(x);
	teardown(&g, 1);
}

static void test_a_smaller_limit_holds_for_requests_under_way(void)
{
	static const uint8_t body[3000] = { 0x20 };	/* of a long record */
	struct guest g = { 0 };
	struct gate_exchange *x;

	setup();
	start();
	CU_ASSERT_EQUAL(greet(&g, 0, &alice), HELLO_CREATED);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&x, gate, g.id, ignore_wake,
	    NULL), 0);
	gate_exchange_body(x, body, sizeof(body), now_ms);
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_READING);
	cfg.request_max = 2000;
	gate_reconfigure(gate, &cfg);
	gate_exchange_body(x, body, 1, now_ms);
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_REFUSED);
	gate_exchange_free(x);
	teardown(&g, 1);
}

static void test_an_open_body_of_a_known_device_may_be_longer(void)
{
	struct guest g = { 0 };
	struct gate_exchange *x;
	uint8_t out[128];
	size_t len, sent;

	setup();
	cfg.request_max = 300;
	cfg.open_request_max = 1000;
	start();
	CU_ASSERT_EQUAL(greet(&g, 0, &alice), HELLO_CREATED);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&x, gate, g.id, ignore_wake,
	    NULL), 0);
	CU_ASSERT_EQUAL(gate_exchange_max(x), 300);
	for (sent = 0; sent + sizeof(out) <= 1000; sent += len) {
		len = seal_ping(&g, sent == 0, out);
		gate_exchange_body(x, out, len, now_ms);
		CU_ASSERT_EQUAL(gate_exchange_max(x), 1000);
		CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_READING);
	}
	gate_exchange_body(x, out, sizeof(out), now_ms);
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_REFUSED);
	gate_exchange_free(x);
	teardown(&g, 1);
}

static void test_what_begins_no_exchange_is_answered_without_data(void)
{
	struct guest g = { 0 };

	setup();
	start();
	CU_ASSERT_EQUAL(greet(&g, 0, &alice), HELLO_CREATED);
	CU_ASSERT_TRUE(speak(&g, false));
	CU_ASSERT_EQUAL(begun, 1);
	teardown(&g, 1);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "of too many sessions the one used longest ago goes",
		    test_the_session_used_longest_ago_goes },
		{ "sessions that were never used make room for others",
		    test_sessions_never_used_make_room },
		{ "sessions that have ended make room for others",
		    test_sessions_that_ended_make_room },
		{ "a session tells whose it is",
		    test_a_session_tells_whose_it_is },
		{ "the sessions of one device are closed, or all",
		    test_the_sessions_of_one_device_are_closed },
		{ "ids that begin alike are told apart",
		    test_ids_that_begin_alike_are_told_apart },
		{ "a hello that is too long is refused",
		    test_a_hello_that_is_too_long_is_refused },
		{ "a smaller limit holds for requests under way",
		    test_a_smaller_limit_holds_for_requests_under_way },
		{ "an open body of a known device may be longer",
		    test_an_open_body_of_a_known_device_may_be_longer },
		{ "what begins no exchange is answered without data",
		    test_what_begins_no_exchange_is_answered_without_data },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
