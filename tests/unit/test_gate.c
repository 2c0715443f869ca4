/* The gateway's end, against a client made of a session and a handshake. */
#include "config.h"

#include "common/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define ROOM 131072u

static struct gate *gate;
static struct gate_config cfg;
static struct noise_keys device;
static enum hello_status verdict;	/* of authorize */
static unsigned sessions, ends, opens, notes;
static enum gate_limit last_limit;
static uint64_t last_value;
static struct stream *accepted;
static uint64_t now_ms;

static const uint8_t id[RECORD_ID_LEN] = "the session's id";
static struct session *client;
static struct noise *handshake;
static struct hello_answer answer;
static uint64_t exchange_number;
static uint64_t client_window;		/* of each stream */

/* ---- the gateway's owner ---------------------------------------------- */

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **dev)
{
	(void)ctx;
	*dev = NULL;
	return memcmp(key, device.pub, 32) == 0 ? verdict :
	    HELLO_UNKNOWN_DEVICE;
}

static void on_session(void *ctx, struct gate_session *gs, void *dev)
{
	(void)ctx;
	(void)gs;
	(void)dev;
	sessions++;
}

static void on_session_end(void *ctx, struct gate_session *gs,
    const char *why)
{
	(void)ctx;
	(void)gs;
	(void)why;
	ends++;
}

static const struct stream_ops stream_ops = { ignore_stream, ignore_stream,
    ignore_reset };

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)name_len;
	opens++;
	accepted = st;
	stream_attach(st, &stream_ops, NULL);
}

static void on_note(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
	notes++;
}

static void on_limit(void *ctx, enum gate_limit limit, uint64_t value,
    const uint8_t key[32], const uint8_t *session)
{
	(void)ctx;
	(void)session;
	notes++;
	last_limit = limit;
	last_value = value;
	CU_ASSERT_EQUAL(memcmp(key, device.pub, 32), 0);
}

static const struct gate_ops gate_ops = { authorize, on_session,
    on_session_end, on_open, ignore_wake, on_note, NULL, on_limit };

static void setup(void)
{
	static bool have_keys;
	static struct noise_keys keys;

	if (!have_keys) {
		noise_keys_generate(&keys);
		noise_keys_generate(&device);
		have_keys = true;
	}
	gate_defaults(&cfg);
	cfg.keys = keys;
	verdict = HELLO_CREATED;
	sessions = ends = opens = notes = 0;
	accepted = NULL;
	now_ms = 1000;
	exchange_number = 0;
	client_window = 65536;
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &cfg, &gate_ops, NULL), 0);
}

/* ---- the client's end ------------------------------------------------- */

static void client_on_close(void *ctx, uint64_t code, const char *text)
{
	(void)text;
	*(uint64_t *)ctx = code;
}

static uint64_t closed_with;

static const struct session_ops client_ops = { ignore_open,
    ignore_wake, client_on_close };

static void teardown(void)
{
	session_free(client);
	client = NULL;
	noise_free(handshake);
	handshake = NULL;
	gate_free(gate);
}

/* One request, its body cut into pieces. */
struct request {
	struct gate_exchange *x;
	bool woken;
};

static void on_ready(void *ctx)
{
	((struct request *)ctx)->woken = true;
}

static void post(struct request *r, const uint8_t session[RECORD_ID_LEN],
    const uint8_t *body, size_t len)
{
	r->woken = false;
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&r->x, gate, session,
	    on_ready, r), 0);
	for (size_t at = 0; at < len; at += 100)
		gate_exchange_body(r->x, body + at,
		    len - at < 100 ? len - at : 100, now_ms);
	gate_exchange_body_end(r->x, now_ms);
	gate_run(gate, now_ms);
}

static void finish(struct request *r)
{
	gate_exchange_free(r->x);
	r->x = NULL;
}

static bool refuses(const uint8_t session[RECORD_ID_LEN],
    const uint8_t *body, size_t len)
{
	struct request r;
	bool refused;

	post(&r, session, body, len);
	refused = gate_exchange_state(r.x) == GATE_REFUSED;
	finish(&r);
	return refused;
}

static size_t make_hello(uint16_t generation, uint8_t *out)
{
	struct hello h = { .generation = generation,
	    .initial_window = client_window, .max_streams = 100,
	    .agent = "test" };
	size_t len;

	noise_free(handshake);
	CU_ASSERT_EQUAL_FATAL(hello_start(&handshake, &device, cfg.keys.pub,
	    id, &h, out, &len), 0);
	return len;
}

/* Take the answer; with keys, the client's session has them afterwards. */
static void take_answer(struct request *r, uint16_t generation)
{
	struct hello_keys k;
	uint8_t out[GATE_PULL_MIN];
	bool done;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(gate_exchange_state(r->x), GATE_READY);
	n = gate_exchange_pull(r->x, out, sizeof(out), &done, now_ms);
	CU_ASSERT_TRUE(done);
	CU_ASSERT_EQUAL_FATAL(hello_finish(handshake, out, n, &answer, &k),
	    0);
	finish(r);
	if (answer.status != HELLO_CREATED && answer.status != HELLO_RESUMED)
		return;
	if (answer.status == HELLO_CREATED) {
		struct session_config c;

		session_free(client);
		session_defaults(&c, true);
		c.initial_window = client_window;
		CU_ASSERT_EQUAL_FATAL(session_new(&client, id, &c,
		    &client_ops, &closed_with), 0);
	}
	session_peer(client, answer.initial_window, answer.max_streams);
	CU_ASSERT_EQUAL(session_keys(client, generation, k.from_client,
	    k.from_gateway, true), 0);
}

static void greet(uint16_t generation)
{
	uint8_t hello[HELLO_MAX];
	struct request r;

	post(&r, id, hello, make_hello(generation, hello));
	take_answer(&r, generation);
}

static size_t fill(uint64_t lane, uint64_t hold_ms, uint64_t keep,
    uint8_t *out)
{
	struct session_fill f = { .lane = lane,
	    .exchange = ++exchange_number, .take = TAKE_ALL, .head = true,
	    .ack = true, .hold_ms = hold_ms, .keep = keep };
	bool ended;

	session_lane_begin(client, lane, f.exchange);
	return session_fill(client, &f, out, ROOM, now_ms, &ended);
}

static void ask(struct request *r, uint64_t lane, uint64_t hold_ms,
    uint64_t keep)
{
	static uint8_t body[ROOM];

	post(r, id, body, fill(lane, hold_ms, keep, body));
}

static void take_records(const uint8_t *data, size_t len,
    struct session_seen *last)
{
	size_t n;

	for (; len > 0; data += n, len -= n) {
		CU_ASSERT_EQUAL_FATAL(record_peek(data, len, &n), 0);
		(void)session_receive(client, data, n, now_ms, last);
	}
}

/* Pull one response to its end; returns its length. */
static size_t take(struct request *r, struct session_seen *last)
{
	static uint8_t out[65536];
	size_t total = 0, n;
	bool done = false;

	while (!done) {
		CU_ASSERT_EQUAL_FATAL(gate_exchange_state(r->x), GATE_READY);
		n = gate_exchange_pull(r->x, out, sizeof(out), &done,
		    now_ms);
		take_records(out, n, last);
		total += n;
		if (n == 0 && !done) {	/* left open for a moment */
			now_ms += 20;
			gate_run(gate, now_ms);
		}
	}
	finish(r);
	return total;
}

/* The gateway asks how far away the client is, once. */
static void answer_ping(void)
{
	struct session_seen seen;
	struct request r;

	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(session_has_work(client, TAKE_QUICK, now_ms));
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
}

static struct stream *open_stream(void)
{
	struct stream *st = NULL;
	struct session_seen seen;
	struct request r;

	CU_ASSERT_EQUAL_FATAL(stream_open(client, NULL, &st), 0);
	stream_attach(st, &stream_ops, NULL);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_PTR_NOT_NULL_FATAL(accepted);
	return st;
}

/* ---- admission -------------------------------------------------------- */

static void test_what_does_not_authenticate_is_refused(void)
{
	static uint8_t junk[ROOM];
	uint8_t hello[HELLO_MAX];
	size_t len;

	setup();
	CU_ASSERT_TRUE(refuses(id, junk, 0));
	CU_ASSERT_TRUE(refuses(id, junk, sizeof(junk)));
	memset(junk, 0xF1, sizeof(junk));
	CU_ASSERT_TRUE(refuses(id, junk, 100));
	CU_ASSERT_TRUE(refuses(id, junk, sizeof(junk)));
	len = make_hello(1, hello);
	for (size_t i = 0; i < len; i++) {
		hello[i] ^= 0x40;
		CU_ASSERT_TRUE(refuses(id, hello, len));
		hello[i] ^= 0x40;
		CU_ASSERT_TRUE(refuses(id, hello, i));	/* cut off */
	}
	CU_ASSERT_TRUE(refuses((const uint8_t *)"another session!", hello,
	    len));
	CU_ASSERT_EQUAL(sessions, 0);
	CU_ASSERT_FALSE(refuses(id, hello, len));
	teardown();
}

static void test_a_hello_for_another_gateway_is_refused(void)
{
	struct noise_keys other;
	struct hello h = { .generation = 1 };
	uint8_t hello[HELLO_MAX];
	size_t len;

	setup();
	noise_keys_generate(&other);
	CU_ASSERT_EQUAL(hello_start(&handshake, &device, other.pub, id, &h,
	    hello, &len), 0);
	CU_ASSERT_TRUE(refuses(id, hello, len));
	teardown();
}

static void test_unknown_and_revoked_devices_are_told_so(void)
{
	setup();
	verdict = HELLO_UNKNOWN_DEVICE;
	greet(1);
	CU_ASSERT_EQUAL(answer.status, HELLO_UNKNOWN_DEVICE);
	verdict = HELLO_REVOKED_DEVICE;
	greet(2);
	CU_ASSERT_EQUAL(answer.status, HELLO_REVOKED_DEVICE);
	CU_ASSERT_PTR_NULL(client);
	verdict = HELLO_CREATED;
	greet(3);
	CU_ASSERT_EQUAL(answer.status, HELLO_CREATED);
	teardown();
}

static void test_a_session_begins_with_its_first_record(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	CU_ASSERT_EQUAL(sessions, 0);
	ask(&r, 0, 0, 0);
	CU_ASSERT_EQUAL(sessions, 1);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_EQUAL(seen.end_exchange, exchange_number);
	teardown();
}

static void test_a_session_nobody_uses_is_forgotten_soon(void)
{
	static uint8_t body[ROOM];
	size_t len;

	setup();
	greet(1);
	len = fill(0, 0, 0, body);
	now_ms += cfg.unconfirmed_ms;
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(refuses(id, body, len));
	CU_ASSERT_EQUAL(sessions + ends, 0);
	teardown();
}

static void test_a_replayed_hello_changes_nothing(void)
{
	uint8_t hello[HELLO_MAX], first[GATE_PULL_MIN], again[GATE_PULL_MIN];
	struct session_seen seen;
	struct request r;
	size_t len, n;
	bool done;

	setup();
	len = make_hello(1, hello);
	post(&r, id, hello, len);
	n = gate_exchange_pull(r.x, first, sizeof(first), &done, now_ms);
	finish(&r);
	/* Repeated on the way: the same answer, the same keys. */
	post(&r, id, hello, len);
	CU_ASSERT_EQUAL(gate_exchange_pull(r.x, again, sizeof(again), &done,
	    now_ms), n);
	CU_ASSERT_EQUAL(memcmp(first, again, n), 0);
	finish(&r);
	post(&r, id, hello, len);
	take_answer(&r, 1);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_EQUAL(sessions, 1);
	/* Once the keys are in use: refused, and they stay in use. */
	CU_ASSERT_TRUE(refuses(id, hello, len));
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	/* An old one does not get in between a new hello and its first use. */
	greet(3);
	CU_ASSERT_EQUAL(answer.status, HELLO_RESUMED);
	CU_ASSERT_TRUE(refuses(id, hello, len));
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_EQUAL(sessions, 1);
	teardown();
}

/* A hello that somebody recorded opens a session, but cannot use it. */
static void test_a_replayed_hello_ends_no_other_session(void)
{
	static const uint8_t other[RECORD_ID_LEN] = "another session.";
	struct hello h = { .generation = 1, .initial_window = 1,
	    .max_streams = 1 };
	uint8_t hello[HELLO_MAX];
	struct session_seen seen;
	struct request r;
	size_t len;

	setup();
	cfg.max_device_sessions = 1;
	gate_reconfigure(gate, &cfg);
	CU_ASSERT_EQUAL_FATAL(hello_start(&handshake, &device, cfg.keys.pub,
	    other, &h, hello, &len), 0);
	greet(1);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_FALSE(refuses(other, hello, len));
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ends, 0);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	teardown();
}

/* A first hello for a session of this number. */
static void greet_other(uint8_t number)
{
	uint8_t other[RECORD_ID_LEN] = { 0xaa, number };
	struct hello h = { .generation = 1, .initial_window = 1,
	    .max_streams = 1 };
	struct noise *state;
	uint8_t hello[HELLO_MAX];
	size_t len;

	CU_ASSERT_EQUAL_FATAL(hello_start(&state, &device, cfg.keys.pub,
	    other, &h, hello, &len), 0);
	CU_ASSERT_FALSE(refuses(other, hello, len));
	noise_free(state);
}

static void test_first_hellos_at_once_do_not_push_each_other_out(void)
{
	static uint8_t body[ROOM];
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	for (uint8_t i = 1; i < cfg.max_device_sessions; i++)
		greet_other(i);
	CU_ASSERT_EQUAL(notes, 0);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_EQUAL(sessions, 1);
	teardown();

	/* One more than may be, and the oldest has to go. */
	setup();
	greet(1);
	for (uint8_t i = 0; i < cfg.max_device_sessions; i++)
		greet_other(i);
	CU_ASSERT_EQUAL(notes, 1);
	CU_ASSERT_TRUE(refuses(id, body, fill(0, 0, 0, body)));
	CU_ASSERT_EQUAL(sessions, 0);
	teardown();
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void test_a_hello_beyond_the_rate_is_as_unknown_as_any(void)
{
	struct gate_ops ops = gate_ops;
	struct gate_stats stats;
	uint8_t hello[HELLO_MAX];
	size_t len;

	setup();
	gate_free(gate);
	ops.may_hello = never;
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &cfg, &ops, NULL), 0);
	len = make_hello(1, hello);
	CU_ASSERT_TRUE(refuses(id, hello, len));
	gate_get_stats(gate, &stats);
	CU_ASSERT_EQUAL(stats.limited, 1);
	/* What is no hello at all is not even asked about. */
	CU_ASSERT_TRUE(refuses(id, hello, 20));
	gate_get_stats(gate, &stats);
	CU_ASSERT_EQUAL(stats.limited, 1);
	teardown();
}

static void test_an_exchange_is_known_once_it_has_proved_itself(void)
{
	static uint8_t body[ROOM];
	uint8_t hello[HELLO_MAX];
	struct session_seen seen;
	struct request r, again;
	size_t len;

	setup();
	len = make_hello(1, hello);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&r.x, gate, id, on_ready, &r),
	    0);
	gate_exchange_body(r.x, hello, len, now_ms);
	CU_ASSERT_FALSE(gate_exchange_is_known(r.x));
	gate_exchange_body_end(r.x, now_ms);
	CU_ASSERT_TRUE(gate_exchange_is_known(r.x));
	take_answer(&r, 1);

	len = fill(0, 0, 0, body);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&r.x, gate, id, on_ready, &r),
	    0);
	gate_exchange_body(r.x, body, len - 1, now_ms);
	CU_ASSERT_FALSE(gate_exchange_is_known(r.x));
	gate_exchange_body(r.x, body + len - 1, 1, now_ms);
	CU_ASSERT_TRUE(gate_exchange_is_known(r.x));
	gate_exchange_body_end(r.x, now_ms);
	gate_run(gate, now_ms);
	/* The same once more could come from anybody. */
	post(&again, id, body, len);
	CU_ASSERT_FALSE(gate_exchange_is_known(again.x));
	finish(&again);
	(void)take(&r, &seen);
	teardown();
}

static void test_a_replayed_request_keeps_no_session_alive(void)
{
	static uint8_t body[ROOM];
	struct session_seen seen;
	struct request r;
	size_t len;

	setup();
	greet(1);
	len = fill(0, 0, 0, body);
	post(&r, id, body, len);
	(void)take(&r, &seen);
	for (int i = 0; i < 10; i++) {
		now_ms += cfg.linger_ms / 10;
		post(&r, id, body, len);
		finish(&r);
	}
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ends, 1);
	teardown();
}

static void test_the_highest_generation_still_works(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(HELLO_GENERATION_MAX);
	(void)open_stream();
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	CU_ASSERT_FALSE(session_lane_pending(client, 0));
	teardown();
}

static void test_a_session_resumes_with_its_streams(void)
{
	struct session_seen seen;
	struct stream *st;
	struct request r;
	char out[8] = { 0 };

	setup();
	greet(1);
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(accepted, "kept", 4), 4);
	greet(2);
	CU_ASSERT_EQUAL(answer.status, HELLO_RESUMED);
	ask(&r, 0, 1000, 1);
	(void)take(&r, &seen);
	CU_ASSERT_EQUAL(stream_copy(st, out, sizeof(out)), 4);
	CU_ASSERT_STRING_EQUAL(out, "kept");
	teardown();
}

static void test_nobody_resumes_the_session_of_another_device(void)
{
	struct noise_keys mine = device, other;
	uint8_t hello[HELLO_MAX];
	struct session_seen seen;
	struct request r;
	size_t len;

	setup();
	greet(1);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	noise_keys_generate(&other);
	device = other;		/* known as well, says authorize */
	len = make_hello(2, hello);
	CU_ASSERT_TRUE(refuses(id, hello, len));
	device = mine;
	teardown();
}

static void test_linger_ends_a_silent_session(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	now_ms += cfg.linger_ms - 1;
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ends, 0);
	CU_ASSERT_TRUE(gate_deadline(gate) <= now_ms + 1);
	now_ms++;
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ends, 1);
	greet(2);
	CU_ASSERT_EQUAL(answer.status, HELLO_CREATED);
	teardown();
}

static void test_who_is_held_does_not_expire(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	cfg.linger_ms = 10000;
	gate_reconfigure(gate, &cfg);
	greet(1);
	answer_ping();
	ask(&r, 0, 25000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_WAITING);
	for (int i = 0; i < 24; i++) {
		now_ms += 1000;
		gate_run(gate, now_ms);
	}
	CU_ASSERT_EQUAL(ends, 0);
	now_ms += 1000;
	gate_run(gate, now_ms);
	(void)take(&r, &seen);
	now_ms += 20000;
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(ends, 1);
	teardown();
}

static void test_a_drained_gateway_takes_no_new_sessions(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	gate_drain(gate);
	greet(2);
	CU_ASSERT_EQUAL(answer.status, HELLO_RESUMED);
	ask(&r, 1, 25000, 1);
	CU_ASSERT_EQUAL(gate_close_all(gate, SESSION_SHUTDOWN, "bye"), 1);
	CU_ASSERT_EQUAL(ends, 1);
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(r.woken);		/* the held one says so */
	(void)take(&r, &seen);
	CU_ASSERT_EQUAL(closed_with, SESSION_SHUTDOWN);
	greet(3);
	CU_ASSERT_EQUAL(answer.status, HELLO_BUSY);
	teardown();
}

static void test_the_cap_on_sessions_is_noted(void)
{
	setup();
	cfg.max_sessions = 0;
	gate_reconfigure(gate, &cfg);
	greet(1);
	CU_ASSERT_EQUAL(answer.status, HELLO_BUSY);
	CU_ASSERT_EQUAL(notes, 1);
	CU_ASSERT_EQUAL(last_limit, GATE_LIMIT_SESSIONS);
	CU_ASSERT_EQUAL(last_value, 0);
	teardown();
}

static void fill_memory(enum gate_limit limit, uint64_t one, uint64_t all)
{
	static const uint8_t data[128u << 10];
	struct gate_stats stats;
	size_t n;

	setup();
	cfg.max_device_memory = one;
	cfg.max_memory = all;
	gate_reconfigure(gate, &cfg);
	greet(1);
	(void)open_stream();
	CU_ASSERT_EQUAL(notes, 0);
	n = stream_write(accepted, data, sizeof(data));
	CU_ASSERT_TRUE(n > 0 && n <= 32u << 10);
	CU_ASSERT_EQUAL(stream_write(accepted, data, sizeof(data)), 0);
	CU_ASSERT_EQUAL(notes, 1);
	CU_ASSERT_EQUAL(last_limit, limit);
	CU_ASSERT_EQUAL(last_value, 32u << 10);
	gate_get_stats(gate, &stats);
	CU_ASSERT_EQUAL(stats.memory, n);
	teardown();
}

static void test_the_caps_on_memory_are_told_with_the_device(void)
{
	fill_memory(GATE_LIMIT_DEVICE_MEMORY, 32u << 10, 1u << 20);
	fill_memory(GATE_LIMIT_MEMORY, 1u << 20, 32u << 10);
}

static void test_what_there_was_is_counted(void)
{
	struct gate_stats stats, after;
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	(void)open_stream();
	greet(2);
	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
	gate_get_stats(gate, &stats);
	CU_ASSERT_EQUAL(stats.sessions, 1);
	CU_ASSERT_EQUAL(stats.begun, 1);
	CU_ASSERT_EQUAL(stats.resumed, 1);
	CU_ASSERT_EQUAL(stats.hellos, 2);
	CU_ASSERT_EQUAL(stats.refused, 0);
	CU_ASSERT_TRUE(stats.requests >= 4);
	CU_ASSERT_TRUE(stats.records_in >= 2);
	CU_ASSERT_TRUE(stats.records_out >= 2);
	/* What sessions counted stays when they have gone. */
	(void)gate_close_all(gate, SESSION_SHUTDOWN, "");
	now_ms += 60000;
	gate_run(gate, now_ms);
	gate_get_stats(gate, &after);
	CU_ASSERT_EQUAL(after.sessions, 0);
	CU_ASSERT_TRUE(after.records_in >= stats.records_in);
	CU_ASSERT_TRUE(after.records_out >= stats.records_out);
	teardown();
}

/* ---- holding and answering -------------------------------------------- */

static void test_a_question_is_answered_in_its_own_exchange(void)
{
	struct session_seen seen;
	struct stream *st;
	struct request r;
	char out[8] = { 0 };

	setup();
	greet(1);
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(st, "ask", 3), 3);
	ask(&r, 0, 25000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_WAITING);
	CU_ASSERT_EQUAL(stream_write(accepted, "reply", 5), 5);
	CU_ASSERT_FALSE(r.woken);
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(r.woken);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_EQUAL(stream_copy(st, out, sizeof(out)), 5);
	teardown();
}

static void test_only_as_many_are_held_as_were_asked_for(void)
{
	struct session_seen seen;
	struct request a, b, c;

	setup();
	greet(1);
	answer_ping();
	ask(&a, 0, 25000, 2);
	ask(&b, 1, 25000, 2);
	CU_ASSERT_EQUAL(gate_exchange_state(a.x), GATE_WAITING);
	CU_ASSERT_EQUAL(gate_exchange_state(b.x), GATE_WAITING);
	ask(&c, 2, 25000, 2);
	CU_ASSERT_TRUE(a.woken);		/* the oldest */
	CU_ASSERT_FALSE(b.woken);
	(void)take(&a, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	finish(&b);
	finish(&c);
	teardown();
}

/* A proxy has cut it off and says that it is whole. */
static void test_a_request_cut_short_is_not_held(void)
{
	static uint8_t body[ROOM], data[20000];
	struct session_seen seen;
	struct stream *st;
	struct request r;
	size_t len;

	setup();
	greet(1);
	answer_ping();
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(st, data, sizeof(data)), sizeof(data));
	len = fill(0, 20000, 1, body);
	CU_ASSERT_TRUE_FATAL(len > sizeof(data));	/* two records */
	post(&r, id, body, len - 10);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_READY);
	(void)take(&r, &seen);
	ask(&r, 0, 20000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_WAITING);
	finish(&r);
	CU_ASSERT_EQUAL(stream_copy(accepted, body, sizeof(body)),
	    sizeof(data));
	teardown();
}

static void test_a_hold_ends_when_its_time_is_over(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	answer_ping();
	ask(&r, 0, 500, 1);
	CU_ASSERT_EQUAL(gate_deadline(gate), now_ms + 500);
	now_ms += 500;
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(r.woken);
	(void)take(&r, &seen);
	CU_ASSERT_TRUE(seen.has_end);
	/* However long the client asks, the gateway's own limit holds. */
	ask(&r, 0, 3600000, 1);
	CU_ASSERT_EQUAL(gate_deadline(gate), now_ms + cfg.hold_max_ms);
	finish(&r);
	teardown();
}

static void test_an_exchange_left_behind_is_answered_without_data(void)
{
	static uint8_t body[ROOM];
	struct session_seen seen;
	struct request late, r;
	struct stream *st;
	size_t len;

	setup();
	greet(1);
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(st, "late", 4), 4);
	len = fill(0, 25000, 1, body);		/* on its way for long */
	ask(&r, 0, 25000, 1);			/* its lane goes on */
	CU_ASSERT_EQUAL(stream_write(accepted, "data", 4), 4);
	post(&late, id, body, len);
	CU_ASSERT_EQUAL(gate_exchange_state(late.x), GATE_READY);
	(void)take(&late, &seen);
	CU_ASSERT_EQUAL(stream_copy(st, body, 10), 0);
	/* A replay the same, and what was left behind while it was held. */
	post(&late, id, body, len);
	CU_ASSERT_EQUAL(gate_exchange_state(late.x), GATE_READY);
	(void)take(&late, &seen);
	finish(&r);
	ask(&late, 3, 25000, 1);
	(void)take(&late, &seen);
	ask(&late, 3, 25000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(late.x), GATE_WAITING);
	ask(&r, 3, 25000, 1);
	CU_ASSERT_TRUE(late.woken);
	(void)take(&late, &seen);
	finish(&r);
	teardown();
}

static void test_what_a_lost_response_carried_is_sent_again(void)
{
	static uint8_t out[65536];
	struct session_seen seen;
	struct stream *st;
	struct request r;
	bool done;

	setup();
	greet(1);
	st = open_stream();
	CU_ASSERT_EQUAL(stream_write(accepted, "precious", 8), 8);
	ask(&r, 0, 25000, 1);
	CU_ASSERT_TRUE(gate_exchange_pull(r.x, out, sizeof(out), &done,
	    now_ms) > 0);			/* and lost */
	finish(&r);
	ask(&r, 1, 25000, 1);			/* another lane: not yet */
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_WAITING);
	finish(&r);
	ask(&r, 0, 25000, 1);
	(void)take(&r, &seen);
	CU_ASSERT_EQUAL(stream_copy(st, out, sizeof(out)), 8);
	teardown();
}

static void test_a_long_response_ends_at_its_cap(void)
{
	static uint8_t data[65536];
	struct stream *far[4];
	struct session_seen seen;
	struct request r;
	size_t n;

	setup();
	cfg.response_first = 150000;
	gate_reconfigure(gate, &cfg);
	greet(1);
	for (size_t i = 0; i < 4; i++) {
		(void)open_stream();
		far[i] = accepted;
	}
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(stream_write(far[i], data, sizeof(data)),
		    sizeof(data));
	ask(&r, 0, 25000, 1);
	n = take(&r, &seen);
	CU_ASSERT_TRUE(n <= cfg.response_first);
	CU_ASSERT_TRUE(n > cfg.response_first / 2);
	CU_ASSERT_TRUE(seen.has_end);
	CU_ASSERT_TRUE(seen.backlog > 0);
	teardown();
}

static void test_a_small_answer_overtakes_a_long_one(void)
{
	static uint8_t data[65536];
	static uint8_t out[GATE_PULL_MIN];
	struct session_seen seen;
	struct stream *bulk, *small;
	struct stream *bulk_far, *small_far;
	struct request a, b;
	bool done;
	char text[8] = { 0 };

	setup();
	cfg.session.initial_window = 1u << 20;
	gate_reconfigure(gate, &cfg);
	greet(1);
	session_peer(client, 65536, 100);
	bulk = open_stream();
	bulk_far = accepted;
	small = open_stream();
	small_far = accepted;
	(void)bulk;
	CU_ASSERT_TRUE(stream_write(bulk_far, data, sizeof(data)) > 0);
	ask(&a, 0, 25000, 1);
	ask(&b, 1, 25000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(a.x), GATE_READY);
	CU_ASSERT_TRUE(gate_exchange_pull(a.x, out, sizeof(out), &done,
	    now_ms) > 0);			/* the long one has begun */
	CU_ASSERT_FALSE(done);
	CU_ASSERT_EQUAL(stream_write(small_far, "quick", 5), 5);
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(b.woken);
	(void)take(&b, &seen);
	CU_ASSERT_EQUAL(stream_copy(small, text, sizeof(text)), 5);
	finish(&a);
	teardown();
}

/* ---- a path that keeps responses until they end ----------------------- */

#define PATIENCE_MS 100u	/* of the gateway's, beyond four round trips */

/* What the response has to say for now; nothing of it arrives yet. */
static size_t store(struct request *r, uint8_t *out, size_t room, bool *done)
{
	size_t total = 0, n = 1;

	*done = false;
	gate_run(gate, now_ms);
	while (!*done && n > 0 && gate_exchange_state(r->x) == GATE_READY) {
		n = gate_exchange_pull(r->x, out + total, room - total, done,
		    now_ms);
		total += n;
	}
	return total;
}

static void test_a_path_that_keeps_responses_gets_short_ones(void)
{
	static uint8_t data[3 * STREAM_BULK_BYTES], out[2 * sizeof(data)];
	struct stream *bulk, *small;
	struct session_seen seen;
	struct request r;
	uint64_t begun;
	size_t n;
	bool done;

	setup();
	client_window = sizeof(data);
	greet(1);
	answer_ping();
	(void)open_stream();
	bulk = accepted;
	(void)open_stream();
	small = accepted;
	CU_ASSERT_EQUAL(stream_write(bulk, data, sizeof(data)), sizeof(data));
	ask(&r, 0, 25000, 1);
	n = store(&r, out, sizeof(out), &done);
	CU_ASSERT_TRUE(n > 0);
	CU_ASSERT_FALSE(done);		/* it may be a path that streams */
	begun = now_ms;
	do {				/* what is small does not help it */
		now_ms += PATIENCE_MS / 4;
		CU_ASSERT_EQUAL(stream_write(small, "news", 4), 4);
		n += store(&r, out + n, sizeof(out) - n, &done);
	} while (!done && now_ms - begun < 10 * PATIENCE_MS);
	CU_ASSERT_TRUE(done);
	CU_ASSERT_TRUE(now_ms - begun <= PATIENCE_MS + PATIENCE_MS / 4);
	finish(&r);
	take_records(out, n, &seen);
	CU_ASSERT_TRUE(seen.backlog > 0);
	ask(&r, 1, 25000, 1);
	CU_ASSERT_TRUE(store(&r, out, sizeof(out), &done) > 0);
	CU_ASSERT_TRUE(done);		/* now it is known */
	finish(&r);
	now_ms += 25000;		/* but may have been a lost packet */
	ask(&r, 2, 25000, 1);
	CU_ASSERT_TRUE(store(&r, out, sizeof(out), &done) > 0);
	CU_ASSERT_FALSE(done);
	finish(&r);
	teardown();
}

/* Pull what a response has to say; the client acknowledges it next time. */
static size_t deliver(struct request *r)
{
	static uint8_t out[12 * STREAM_BULK_BYTES];
	struct session_seen seen;
	bool done;
	size_t n = store(r, out, sizeof(out), &done);

	CU_ASSERT_FALSE(done);
	take_records(out, n, &seen);
	return n;
}

/* However slow the warm connection is, it has always room for some. */
static void test_bulk_goes_over_to_its_lanes(void)
{
	static uint8_t data[10 * STREAM_BULK_BYTES];
	struct request warm, lanes[3];

	setup();
	client_window = 2 * sizeof(data);
	greet(1);
	answer_ping();
	(void)open_stream();
	CU_ASSERT_EQUAL(stream_write(accepted, data, sizeof(data)),
	    sizeof(data));
	ask(&warm, 0, 25000, 1);
	(void)deliver(&warm);
	for (unsigned i = 0; i < 2; i++) {	/* together, in slow start */
		ask(&lanes[i], SESSION_BULK_LANE + i, 25000, 1);
		gate_run(gate, now_ms);
		CU_ASSERT_EQUAL(gate_exchange_state(warm.x), GATE_READY);
		CU_ASSERT_EQUAL(gate_exchange_state(lanes[i].x), GATE_READY);
		CU_ASSERT_TRUE(deliver(&lanes[i]) < 98304);
		(void)deliver(&warm);
	}
	finish(&warm);
	ask(&lanes[2], SESSION_BULK_LANE + 2, 25000, 1);
	CU_ASSERT_EQUAL(stream_write(accepted, data, sizeof(data)),
	    sizeof(data));
	gate_run(gate, now_ms);		/* two that have room are enough */
	CU_ASSERT_EQUAL(gate_exchange_state(lanes[0].x), GATE_READY);
	CU_ASSERT_EQUAL(gate_exchange_state(lanes[2].x), GATE_WAITING);
	for (unsigned i = 0; i < 3; i++)
		finish(&lanes[i]);
	teardown();
}

/* ---- responses that last ---------------------------------------------- */

#define LAST_MS 3000u		/* they wait for so long */

/* Take what there is of a response that goes on. Returns its bytes. */
static size_t pull(struct request *r, bool *done)
{
	static uint8_t out[65536];
	struct session_seen seen;
	size_t n;

	gate_run(gate, now_ms);
	*done = false;
	if (gate_exchange_state(r->x) != GATE_READY)
		return 0;
	n = gate_exchange_pull(r->x, out, sizeof(out), done, now_ms);
	take_records(out, n, &seen);
	return n;
}

/* One that has begun, on this lane; it brings a PING. */
static void last(struct request *r, uint64_t lane)
{
	bool done;

	ask(r, lane, SESSION_LASTING + LAST_MS, 1);
	CU_ASSERT_TRUE(pull(r, &done) > 0);
	CU_ASSERT_FALSE(done);
	CU_ASSERT_EQUAL(pull(r, &done), 0);
	CU_ASSERT_EQUAL(gate_exchange_state(r->x), GATE_WAITING);
}

static void acknowledge(void)
{
	struct session_seen seen;
	struct request r;

	ask(&r, 0, 0, 0);
	(void)take(&r, &seen);
}

static void greet_and_open(void)
{
	setup();
	greet(1);
	answer_ping();
	(void)open_stream();
}

/* One that lasts, and is known to get through. */
static void setup_lasting(struct request *r)
{
	greet_and_open();
	last(r, 2);
	acknowledge();
}

/* It was one that began to wait at that time, and waits no longer. */
static void teardown_lasting(struct request *r, uint64_t begun, bool done)
{
	CU_ASSERT_TRUE(done);
	CU_ASSERT_TRUE(now_ms - begun <= LAST_MS + LAST_MS / 5);
	finish(r);
	teardown();
}

static void test_a_response_lasts_once_it_has_shown_that_it_can(void)
{
	struct request held, r;
	bool done;

	greet_and_open();
	ask(&held, 1, 20000, 1);
	last(&r, 2);
	CU_ASSERT_EQUAL(stream_write(accepted, "first", 5), 5);
	CU_ASSERT_EQUAL(pull(&r, &done), 0);
	CU_ASSERT_TRUE(pull(&held, &done) > 0);	/* not shown: as ever */
	CU_ASSERT_TRUE(done);
	finish(&held);
	acknowledge();
	ask(&held, 1, 20000, 1);
	cfg.response_ms = 5 * LAST_MS;
	gate_reconfigure(gate, &cfg);
	for (unsigned i = 0; i < 11; i++) {
		CU_ASSERT_FALSE(done && i > 0);
		CU_ASSERT_EQUAL(gate_exchange_state(held.x), GATE_WAITING);
		now_ms += LAST_MS / 2;
		CU_ASSERT_EQUAL(stream_write(accepted, "news", 4), 4);
		CU_ASSERT_TRUE(pull(&r, &done) > 0);
		if (!done)
			(void)pull(&r, &done);
		acknowledge();
	}
	CU_ASSERT_TRUE(done);		/* its time was over */
	finish(&r);
	finish(&held);
	teardown();
}

static void test_what_lasts_ends_when_it_is_not_acknowledged(void)
{
	struct request r;
	uint64_t begun;
	bool done;

	setup_lasting(&r);
	begun = now_ms;
	do {
		now_ms += LAST_MS / 10;
		CU_ASSERT_EQUAL(stream_write(accepted, "news", 4), 4);
		CU_ASSERT_TRUE(pull(&r, &done) > 0);
		if (!done)
			(void)pull(&r, &done);
	} while (!done && now_ms - begun < 10 * LAST_MS);
	teardown_lasting(&r, begun, done);
}

static void test_what_lasts_ends_when_there_is_nothing_to_say(void)
{
	struct request r;
	bool done;

	setup_lasting(&r);
	now_ms += LAST_MS - 1;
	CU_ASSERT_EQUAL(pull(&r, &done), 0);
	now_ms += 1;
	CU_ASSERT_TRUE(pull(&r, &done) > 0);
	CU_ASSERT_TRUE(done);
	finish(&r);
	teardown();
}

/* As after a client that has left it, and asks by other ways. */
static void test_what_lasts_ends_when_others_say_all(void)
{
	struct request r;
	uint64_t begun;
	bool done;

	setup_lasting(&r);
	begun = now_ms;
	do {
		now_ms += LAST_MS / 10;
		CU_ASSERT_EQUAL(stream_write(accepted, "news", 4), 4);
		gate_run(gate, now_ms);
		acknowledge();
		(void)pull(&r, &done);
	} while (!done && now_ms - begun < 5 * LAST_MS);
	teardown_lasting(&r, begun, done);
}

static void test_of_two_that_last_the_newer_takes_over(void)
{
	struct request one, two;
	bool done;

	setup_lasting(&one);
	ask(&two, 3, SESSION_LASTING + LAST_MS, 1);
	CU_ASSERT_TRUE(pull(&one, &done) > 0);
	CU_ASSERT_TRUE(done);
	finish(&one);
	(void)pull(&two, &done);
	(void)pull(&two, &done);
	CU_ASSERT_EQUAL(stream_write(accepted, "news", 4), 4);
	CU_ASSERT_TRUE(pull(&two, &done) > 0);	/* at once */
	CU_ASSERT_FALSE(done);
	finish(&two);
	teardown();
}

static void test_the_end_of_a_session_goes_by_what_lasts(void)
{
	struct request r;
	bool done;

	setup_lasting(&r);
	CU_ASSERT_EQUAL(gate_close_all(gate, SESSION_SHUTDOWN, "down"), 1);
	CU_ASSERT_TRUE(pull(&r, &done) > 0);
	CU_ASSERT_TRUE(done);
	CU_ASSERT_EQUAL(closed_with, SESSION_SHUTDOWN);
	finish(&r);
	teardown();
}

static void test_a_client_that_leaves_ends_its_session(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	(void)open_stream();
	session_close(client, SESSION_OK, "bye");
	ask(&r, 0, 0, 0);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_READY);
	CU_ASSERT_EQUAL(ends, 1);
	(void)take(&r, &seen);
	now_ms += 60000;
	gate_run(gate, now_ms);
	teardown();
}

/* There was something to say, and then only that it is over. */
static void test_a_session_that_ends_holds_nothing(void)
{
	struct session_seen seen;
	struct request r;

	setup();
	greet(1);
	answer_ping();
	(void)open_stream();
	ask(&r, 0, 60000, 1);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_WAITING);
	CU_ASSERT_EQUAL(stream_write(accepted, "answer", 6), 6);
	gate_run(gate, now_ms);
	CU_ASSERT_EQUAL(gate_exchange_state(r.x), GATE_READY);
	(void)gate_close_device(gate, device.pub, SESSION_REVOKED, "revoked");
	gate_run(gate, now_ms);
	CU_ASSERT_TRUE(take(&r, &seen) > 0);
	now_ms += 3600000;
	gate_run(gate, now_ms);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "what does not authenticate is refused",
		    test_what_does_not_authenticate_is_refused },
		{ "a hello for another gateway is refused",
		    test_a_hello_for_another_gateway_is_refused },
		{ "unknown and revoked devices are told so",
		    test_unknown_and_revoked_devices_are_told_so },
		{ "a session begins with its first record",
		    test_a_session_begins_with_its_first_record },
		{ "a session nobody uses is forgotten soon",
		    test_a_session_nobody_uses_is_forgotten_soon },
		{ "a replayed hello changes nothing",
		    test_a_replayed_hello_changes_nothing },
		{ "a replayed hello ends no other session",
		    test_a_replayed_hello_ends_no_other_session },
		{ "first hellos at once do not push each other out",
		    test_first_hellos_at_once_do_not_push_each_other_out },
		{ "a hello beyond the rate is as unknown as any",
		    test_a_hello_beyond_the_rate_is_as_unknown_as_any },
		{ "an exchange is known once it has proved itself",
		    test_an_exchange_is_known_once_it_has_proved_itself },
		{ "a replayed request keeps no session alive",
		    test_a_replayed_request_keeps_no_session_alive },
		{ "the highest generation still works",
		    test_the_highest_generation_still_works },
		{ "a session resumes with its streams",
		    test_a_session_resumes_with_its_streams },
		{ "nobody resumes the session of another device",
		    test_nobody_resumes_the_session_of_another_device },
		{ "linger ends a silent session",
		    test_linger_ends_a_silent_session },
		{ "who is held does not expire",
		    test_who_is_held_does_not_expire },
		{ "a drained gateway takes no new sessions",
		    test_a_drained_gateway_takes_no_new_sessions },
		{ "the cap on sessions is noted",
		    test_the_cap_on_sessions_is_noted },
		{ "the caps on memory are told with the device",
		    test_the_caps_on_memory_are_told_with_the_device },
		{ "what there was is counted",
		    test_what_there_was_is_counted },
		{ "a question is answered in its own exchange",
		    test_a_question_is_answered_in_its_own_exchange },
		{ "only as many are held as were asked for",
		    test_only_as_many_are_held_as_were_asked_for },
		{ "a request cut short is not held",
		    test_a_request_cut_short_is_not_held },
		{ "a hold ends when its time is over",
		    test_a_hold_ends_when_its_time_is_over },
		{ "an exchange left behind is answered without data",
		    test_an_exchange_left_behind_is_answered_without_data },
		{ "what a lost response carried is sent again",
		    test_what_a_lost_response_carried_is_sent_again },
		{ "a long response ends at its cap",
		    test_a_long_response_ends_at_its_cap },
		{ "a small answer overtakes a long one",
		    test_a_small_answer_overtakes_a_long_one },
		{ "a path that keeps responses gets short ones",
		    test_a_path_that_keeps_responses_gets_short_ones },
		{ "bulk goes over to its lanes", test_bulk_goes_over_to_its_lanes },
		{ "a response lasts once it has shown that it can",
		    test_a_response_lasts_once_it_has_shown_that_it_can },
		{ "what lasts ends when it is not acknowledged",
		    test_what_lasts_ends_when_it_is_not_acknowledged },
		{ "what lasts ends when there is nothing to say",
		    test_what_lasts_ends_when_there_is_nothing_to_say },
		{ "what lasts ends when others say all",
		    test_what_lasts_ends_when_others_say_all },
		{ "of two that last the newer takes over",
		    test_of_two_that_last_the_newer_takes_over },
		{ "the end of a session goes by what lasts",
		    test_the_end_of_a_session_goes_by_what_lasts },
		{ "a client that leaves ends its session",
		    test_a_client_that_leaves_ends_its_session },
		{ "a session that ends holds nothing",
		    test_a_session_that_ends_holds_nothing },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
