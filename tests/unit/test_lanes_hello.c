/* What the client makes of a gateway's answers, and of what it says next. */
#include "config.h"

#include "common/lanes.h"

#include <string.h>

#include "common/err.h"
#include "common/frame.h"
#include "common/hello.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

static struct noise_keys keys, device;
static struct lanes_config cfg;
static struct lanes *lanes;
static struct call {
	bool open;
	const uint8_t *body;
	size_t len;
} call[LANES_SLOTS];
static enum lanes_state state;
static char why[256];
static uint32_t random_state;
static struct record_key *seal;		/* the gateway's */
static uint16_t generation;		/* of the last hello */
static uint64_t now_ms, reset_code;

static void post(void *ctx, unsigned slot, const uint8_t *body, size_t len,
    unsigned path, bool fresh)
{
	(void)ctx;
	(void)path;
	(void)fresh;
	call[slot] = (struct call){ true, body, len };
}

static void move(void *ctx, unsigned from, unsigned to)
{
	(void)ctx;
	call[to] = call[from];
	call[from].open = false;
}

static void cancel(void *ctx, unsigned slot)
{
	(void)ctx;
	call[slot].open = false;
}

static void on_state(void *ctx, enum lanes_state st, const char *text)
{
	(void)ctx;
	state = st;
	strncpy(why, text, sizeof(why) - 1);
}

static uint32_t random_bits(void *ctx)
{
	(void)ctx;
	return random_state += 0x12345677;
}

static const struct lanes_ops ops = {
	.post = post,
	.move = move,
	.cancel = cancel,
	.on_state = on_state,
	.on_wake = ignore_wake,
	.random = random_bits,
};

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)user;
	(void)st;
	reset_code = code;
}

static const struct stream_ops stream_ops = { ignore_stream, ignore_stream,
    on_reset };

static void setup(void)
{
	if (keys.pub[0] == 0) {
		noise_keys_generate(&keys);
		noise_keys_generate(&device);
	}
	memset(call, 0, sizeof(call));
	state = LANES_DOWN;
	now_ms = 100000;
	random_state = 0;
	reset_code = 0;
	lanes_defaults(&cfg);
	cfg.device = device;
	memcpy(cfg.gateway, keys.pub, 32);
	memset(cfg.id, 7, sizeof(cfg.id));
	CU_ASSERT_EQUAL_FATAL(lanes_new(&lanes, &cfg, &ops, NULL), 0);
	lanes_run(lanes, now_ms);
}

static void teardown(void)
{
	lanes_free(lanes);
	record_key_free(seal);
	seal = NULL;
}

static void run_after(uint64_t ms)
{
	now_ms += ms;
	lanes_run(lanes, now_ms);
}

static void end(unsigned slot, enum lanes_result result, unsigned status)
{
	call[slot].open = false;
	lanes_on_end(lanes, slot, result, status, "it broke", now_ms);
}

static uint64_t http2_window;	/* that the next answer tells; 0: none */

/* Answer the hello that is under way. */
static void answer(enum hello_status status, uint64_t hold_max_ms)
{
	struct hello_answer a = { .status = status, .initial_window = 65536,
	    .max_streams = 8, .hold_max_ms = hold_max_ms,
	    .linger_ms = 900000, .agent = "test/1",
	    .http2_window = http2_window };
	struct call *c = &call[LANES_HELLO];
	uint8_t out[HELLO_MAX];
	struct noise *n = NULL;
	struct hello_keys k;
	struct hello h;
	size_t len;

	CU_ASSERT_TRUE_FATAL(c->open);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&n, &keys, lanes_id(lanes),
	    c->body, c->len, &h), 0);
	CU_ASSERT_EQUAL_FATAL(hello_reply(n, &a, out, &len, &k), 0);
	noise_free(n);
	generation = h.generation;
	if (status <= HELLO_RESUMED) {
		record_key_free(seal);
		CU_ASSERT_EQUAL_FATAL(record_key_new(&seal, k.from_gateway,
		    h.generation, lanes_id(lanes)), 0);
	}
	lanes_on_body(lanes, LANES_HELLO, out, len, now_ms);
	end(LANES_HELLO, LANES_DONE, 200);
	lanes_run(lanes, now_ms);
}

/* Say these frames in the response on a lane; it does not end with that. */
static void say(unsigned slot, const struct wire_out *w, const uint8_t *plain)
{
	uint8_t out[512];
	uint64_t number;
	size_t len;

	CU_ASSERT_TRUE_FATAL(call[slot].open);
	CU_ASSERT_EQUAL_FATAL(record_seal(seal, plain,
	    (size_t)(w->p - plain), out, &len, &number), 0);
	lanes_on_body(lanes, slot, out, len, now_ms);
}

static struct stream *open_stream(void)
{
	struct stream *st = NULL;

	CU_ASSERT_EQUAL_FATAL(lanes_open(lanes, NULL, &st), 0);
	stream_attach(st, &stream_ops, NULL);
	return st;
}

/* ---- tests ------------------------------------------------------------ */

static void test_a_stream_from_the_gateway_is_refused(void)
{
	struct session_stats st;
	uint8_t plain[64];
	struct wire_out w = { plain, sizeof(plain) };

	setup();
	answer(HELLO_CREATED, 30000);
	CU_ASSERT_EQUAL(frame_put_open(&w, 1, "laptop", 6), 0);
	say(0, &w, plain);
	session_get_stats(lanes_session(lanes), &st);
	CU_ASSERT_EQUAL(st.streams, 1);		/* until its RESET is known */
	CU_ASSERT_TRUE(session_has_work(lanes_session(lanes), TAKE_QUICK,
	    now_ms));
	teardown();
}

static void test_a_session_that_the_gateway_closes_is_made_anew(void)
{
	uint8_t plain[64], id[RECORD_ID_LEN];
	struct wire_out w = { plain, sizeof(plain) };

	setup();
	answer(HELLO_CREATED, 30000);
	(void)open_stream();
	memcpy(id, lanes_id(lanes), sizeof(id));
	CU_ASSERT_EQUAL(frame_put_close(&w, SESSION_SHUTDOWN, "service"), 0);
	say(0, &w, plain);
	CU_ASSERT_EQUAL(reset_code, STREAM_SESSION_LOST);
	run_after(0);
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "service"));
	CU_ASSERT_NOT_EQUAL(memcmp(id, lanes_id(lanes), sizeof(id)), 0);
	run_after(cfg.retry_max_ms);
	answer(HELLO_CREATED, 30000);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_nothing_can_be_resumed_at_first(void)
{
	setup();
	answer(HELLO_RESUMED, 30000);
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_PTR_NULL(lanes_session(lanes));
	run_after(cfg.retry_max_ms);
	answer(HELLO_CREATED, 30000);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_a_device_that_is_revoked_loses_its_streams(void)
{
	setup();
	answer(HELLO_CREATED, 30000);
	(void)open_stream();
	run_after(cfg.rekey_ms);
	answer(HELLO_REVOKED_DEVICE, 0);
	CU_ASSERT_EQUAL(reset_code, STREAM_SESSION_LOST);
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_PTR_NULL(lanes_session(lanes));
	teardown();
}

static void test_no_request_is_held_for_longer_than_the_gateway_holds(void)
{
	struct lanes_stats st;

	setup();
	answer(HELLO_CREATED, 9000);
	lanes_get_stats(lanes, &st);
	CU_ASSERT_EQUAL(st.hold_ms, 9000);
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 0);
	lanes_get_stats(lanes, &st);
	CU_ASSERT_EQUAL(st.hold_ms, 1000);	/* not asked again and again */
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 30000);
	lanes_get_stats(lanes, &st);
	CU_ASSERT_EQUAL(st.hold_ms, 1000);	/* it has to be learned anew */
	teardown();
}

static uint32_t body_max(void)
{
	struct lanes_stats st;

	lanes_get_stats(lanes, &st);
	return st.body_max;
}

static void test_bodies_fit_into_the_web_servers_window(void)
{
	setup();
	lanes_set_http2(lanes, true);
	answer(HELLO_CREATED, 9000);
	CU_ASSERT_EQUAL(body_max(), 61440);	/* nothing was said */
	http2_window = 262144;
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 9000);
	CU_ASSERT_EQUAL(body_max(), 262144 - 4096);
	http2_window = UINT64_C(1) << 40;	/* but not larger than wanted */
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 9000);
	CU_ASSERT_EQUAL(body_max(), cfg.body_max_h2);
	http2_window = 1;			/* less than any has */
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 9000);
	CU_ASSERT_EQUAL(body_max(), 61440);
	lanes_set_http2(lanes, false);
	CU_ASSERT_EQUAL(body_max(), cfg.body_max);
	http2_window = 0;
	teardown();
}

static void test_a_hello_in_vain_does_not_yet_make_the_tunnel_down(void)
{
	uint64_t started_ms;

	setup();
	answer(HELLO_CREATED, 30000);
	end(0, LANES_STATUS, 404);
	run_after(0);
	if (!call[LANES_HELLO].open)
		run_after(cfg.retry_max_ms);
	started_ms = now_ms;
	end(LANES_HELLO, LANES_STATUS, 502);
	CU_ASSERT_EQUAL(state, LANES_UP);
	while (now_ms - started_ms < 1000) {
		run_after(cfg.retry_max_ms);
		end(LANES_HELLO, LANES_FAILED, 0);
	}
	CU_ASSERT_EQUAL(state, LANES_DOWN);
	CU_ASSERT_PTR_NOT_NULL(lanes_session(lanes));
	run_after(cfg.retry_max_ms);
	answer(HELLO_RESUMED, 30000);
	CU_ASSERT_EQUAL(state, LANES_UP);
	teardown();
}

static void test_hellos_have_growing_numbers(void)
{
	setup();
	end(LANES_HELLO, LANES_FAILED, 0);
	run_after(cfg.retry_max_ms);
	end(LANES_HELLO, LANES_STATUS, 502);
	run_after(cfg.retry_max_ms);
	answer(HELLO_CREATED, 30000);
	CU_ASSERT_EQUAL(generation, 3);
	run_after(cfg.rekey_ms);
	answer(HELLO_RESUMED, 30000);
	CU_ASSERT_EQUAL(generation, 4);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a stream from the gateway is refused",
		    test_a_stream_from_the_gateway_is_refused },
		{ "a session that the gateway closes is made anew",
		    test_a_session_that_the_gateway_closes_is_made_anew },
		{ "nothing can be resumed at first",
		    test_nothing_can_be_resumed_at_first },
		{ "a device that is revoked loses its streams",
		    test_a_device_that_is_revoked_loses_its_streams },
		{ "no request is held for longer than the gateway holds",
		    test_no_request_is_held_for_longer_than_the_gateway_holds },
		{ "bodies fit into the web server's window",
		    test_bodies_fit_into_the_web_servers_window },
		{ "a hello in vain does not yet make the tunnel down",
		    test_a_hello_in_vain_does_not_yet_make_the_tunnel_down },
		{ "hellos have growing numbers",
		    test_hellos_have_growing_numbers },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
