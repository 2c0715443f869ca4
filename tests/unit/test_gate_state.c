/* A gate that is written down and made anew, against a client's end. */
#include "config.h"

#include "common/gate_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/session_state.h"
#include "tests/unit/ignore.h"
#include "tests/unit/unit.h"

#define ROOM 65536u

static struct gate *gate;
static struct gate_config cfg;
static struct noise_keys device;
static struct session *client;
static unsigned sessions, ends;
static struct stream *accepted;
static uint64_t now_ms, exchange;
static struct buf state;
static const uint8_t id[RECORD_ID_LEN] = "the session's id";

static enum hello_status authorize(void *ctx, const uint8_t key[32],
    void **dev)
{
	(void)ctx;
	(void)key;
	*dev = NULL;
	return HELLO_CREATED;
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

static void on_reset(void *user, struct stream *st, uint64_t code)
{
	(void)user;
	(void)st;
	(void)code;
	accepted = NULL;
}

static const struct stream_ops stream_ops = { ignore_stream, ignore_stream,
    on_reset };

static void on_open(void *ctx, struct gate_session *gs, struct stream *st,
    const char *name, size_t name_len)
{
	(void)ctx;
	(void)gs;
	(void)name;
	(void)name_len;
	accepted = st;
	stream_attach(st, &stream_ops, NULL);
}

static const struct gate_ops gate_ops = { authorize, on_session,
    on_session_end, on_open, ignore_wake, ignore_note, NULL, NULL };

static const struct session_ops client_ops = { ignore_open, ignore_wake,
    ignore_close };

static void setup(void)
{
	struct session_config c;

	gate_defaults(&cfg);
	noise_keys_generate(&cfg.keys);
	noise_keys_generate(&device);
	session_defaults(&c, true);
	sessions = ends = 0;
	accepted = NULL;
	now_ms = 1000;
	exchange = 0;
	CU_ASSERT_EQUAL_FATAL(gate_new(&gate, &cfg, &gate_ops, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(session_new(&client, id, &c, &client_ops, NULL),
	    0);
}

static void teardown(void)
{
	session_free(client);
	gate_free(gate);
	buf_fini(&state);
}

static struct gate_exchange *post(const uint8_t *body, size_t len)
{
	struct gate_exchange *x;

	CU_ASSERT_EQUAL_FATAL(gate_exchange_new(&x, gate, id, ignore_wake, NULL),
	    0);
	gate_exchange_body(x, body, len, now_ms);
	gate_exchange_body_end(x, now_ms);
	gate_run(gate, now_ms);
	return x;
}

/* Hello and answer; the keys are the client's afterwards. */
static enum hello_status greet(uint16_t generation)
{
	struct hello h = { .generation = generation, .max_streams = 10,
	    .initial_window = 65536, .agent = "test" };
	uint8_t out[HELLO_MAX], in[GATE_PULL_MIN];
	struct hello_answer a;
	struct hello_keys k;
	struct noise *n;
	struct gate_exchange *x;
	size_t len;
	bool done;

	CU_ASSERT_EQUAL_FATAL(hello_start(&n, &device, cfg.keys.pub, id, &h,
	    out, &len), 0);
	x = post(out, len);
	CU_ASSERT_EQUAL_FATAL(gate_exchange_state(x), GATE_READY);
	len = gate_exchange_pull(x, in, sizeof(in), &done, now_ms);
	gate_exchange_free(x);
	CU_ASSERT_EQUAL_FATAL(hello_finish(n, in, len, &a, &k), 0);
	noise_free(n);
	session_peer(client, a.initial_window, a.max_streams);
	CU_ASSERT_EQUAL(session_keys(client, generation, k.from_client,
	    k.from_gateway, true), 0);
	return a.status;
}

/* A request on the lane; an old one has the number of the one before. */
static struct gate_exchange *ask(uint64_t lane, uint64_t hold_ms, bool old)
{
	struct session_fill f = { .lane = lane, .take = TAKE_ALL,
	    .exchange = old ? exchange : ++exchange, .head = true,
	    .ack = true, .hold_ms = hold_ms, .keep = 1 };
	uint8_t body[ROOM];
	bool ended;

	session_lane_begin(client, lane, f.exchange);
	return post(body, session_fill(client, &f, body, ROOM, now_ms,
	    &ended));
}

/* The response, given to the client. */
static void take(struct gate_exchange *x)
{
	uint8_t out[ROOM];
	struct session_seen seen;
	bool done = false;
	size_t n, len;

	while (!done && gate_exchange_state(x) == GATE_READY) {
		len = gate_exchange_pull(x, out, sizeof(out), &done, now_ms);
		for (size_t at = 0; at < len; at += n) {
			CU_ASSERT_EQUAL_FATAL(record_peek(out + at, len - at,
			    &n), 0);
			CU_ASSERT_EQUAL(session_receive(client, out + at, n,
			    now_ms, &seen), 0);
		}
	}
	gate_exchange_free(x);
}

static int sink(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	return buf_append(&state, data, len);
}

static void write_state(void)
{
	struct state_out o;

	buf_fini(&state);
	buf_init(&state, 1 << 20);
	state_begin(&o, sink, NULL, now_ms);
	gate_export(gate, &o);
	CU_ASSERT_EQUAL_FATAL(state_finish(&o), 0);
}

static int read_state(struct gate **out)
{
	char why[STATE_WHY_MAX];
	struct state_in in, body;
	enum state_type type;
	int rc;

	CU_ASSERT_EQUAL_FATAL(gate_new(out, &cfg, &gate_ops, NULL), 0);
	rc = state_open(&in, buf_data(&state), buf_len(&state), now_ms, why);
	while (rc == 0 && state_next(&in, &type, &body))
		rc = gate_import(*out, type, &body);
	return rc;
}

static void upgrade(void)
{
	struct gate *fresh;
	struct gate_session *gs;

	write_state();
	CU_ASSERT_EQUAL_FATAL(read_state(&fresh), 0);
	gs = gate_session_find(fresh, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(gs);
	if (accepted != NULL) {
		CU_ASSERT_FALSE(gate_all_taken(fresh));
		stream_attach(accepted, NULL, NULL);
		accepted = session_take_stream(gate_session_session(gs),
		    stream_id(accepted));
		CU_ASSERT_PTR_NOT_NULL_FATAL(accepted);
		stream_attach(accepted, &stream_ops, NULL);
	}
	CU_ASSERT_TRUE(gate_all_taken(fresh));
	gate_free(gate);
	gate = fresh;
	ends = 0;
}

/* ---- tests ------------------------------------------------------------ */

static void test_a_session_goes_on_with_its_stream(void)
{
	struct stream *st;
	const uint8_t *p;

	setup();
	CU_ASSERT_EQUAL(greet(1), HELLO_CREATED);
	CU_ASSERT_EQUAL_FATAL(stream_open(client, "name", &st), 0);
	stream_attach(st, &stream_ops, NULL);
	CU_ASSERT_EQUAL(stream_write(st, "question", 8), 8);
	take(ask(0, 0, false));
	CU_ASSERT_PTR_NOT_NULL_FATAL(accepted);
	CU_ASSERT_EQUAL(sessions, 1);
	upgrade();
	CU_ASSERT_EQUAL(sessions, 2);
	CU_ASSERT_EQUAL(stream_peek(accepted, &p), 8);
	CU_ASSERT_EQUAL(memcmp(p, "question", 8), 0);
	stream_consume(accepted, 8);
	CU_ASSERT_EQUAL(stream_write(accepted, "answer", 6), 6);
	take(ask(0, 0, false));
	CU_ASSERT_EQUAL(stream_peek(st, &p), 6);
	CU_ASSERT_EQUAL(ends, 0);
	teardown();
}

static void test_a_hello_resumes_it(void)
{
	setup();
	CU_ASSERT_EQUAL(greet(1), HELLO_CREATED);
	take(ask(0, 0, false));
	upgrade();
	CU_ASSERT_EQUAL(greet(2), HELLO_RESUMED);
	take(ask(0, 0, false));
	CU_ASSERT_EQUAL(ends, 0);
	teardown();
}

static void test_one_that_waits_for_its_first_record_goes_on(void)
{
	setup();
	CU_ASSERT_EQUAL(greet(1), HELLO_CREATED);
	upgrade();
	CU_ASSERT_EQUAL(sessions, 0);
	take(ask(0, 0, false));
	CU_ASSERT_EQUAL(sessions, 1);
	teardown();
}

static void test_the_lane_rule_goes_on(void)
{
	struct gate_exchange *x;

	setup();
	(void)greet(1);
	take(ask(3, 0, false));
	upgrade();
	/* Left behind before: answered at once, and never held. */
	x = ask(3, 20000, true);
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_READY);
	take(x);
	take(ask(3, 0, false));
	x = ask(3, 20000, false);
	take(ask(4, 0, false));
	CU_ASSERT_EQUAL(gate_exchange_state(x), GATE_WAITING);
	gate_exchange_free(x);
	teardown();
}

static void test_linger_goes_on(void)
{
	setup();
	(void)greet(1);
	take(ask(0, 0, false));
	now_ms += cfg.linger_ms - 100;
	upgrade();
	gate_run(gate, now_ms);
	CU_ASSERT_PTR_NOT_NULL(gate_session_find(gate, id));
	now_ms += 100;
	gate_run(gate, now_ms);
	CU_ASSERT_PTR_NULL(gate_session_find(gate, id));
	CU_ASSERT_EQUAL(ends, 1);
	teardown();
}

static void test_what_is_held_is_let_go(void)
{
	struct gate_exchange *held, *later;

	setup();
	(void)greet(1);
	take(ask(0, 0, false));
	take(ask(0, 0, false));		/* the PING has its answer */
	held = ask(1, 20000, false);
	CU_ASSERT_EQUAL(gate_exchange_state(held), GATE_WAITING);
	gate_let_go(gate, true);
	CU_ASSERT_EQUAL(gate_exchange_state(held), GATE_READY);
	take(held);
	later = ask(1, 20000, false);
	CU_ASSERT_EQUAL(gate_exchange_state(later), GATE_READY);
	take(later);
	gate_let_go(gate, false);
	held = ask(1, 20000, false);
	CU_ASSERT_EQUAL(gate_exchange_state(held), GATE_WAITING);
	gate_exchange_free(held);
	teardown();
}

static void test_numbers_are_left_out_when_it_was_in_vain(void)
{
	struct session *s;
	uint64_t before;

	setup();
	(void)greet(1);
	take(ask(0, 0, false));
	s = gate_session_session(gate_session_find(gate, id));
	before = session_sent_number(s);
	gate_skip_numbers(gate);
	take(ask(0, 0, false));
	CU_ASSERT_TRUE(session_sent_number(s) > before + SESSION_SKIP);
	teardown();
}

static void test_a_session_twice_is_refused(void)
{
	struct state_in in, body;
	enum state_type type;
	struct gate *fresh;
	char why[STATE_WHY_MAX];

	setup();
	(void)greet(1);
	write_state();
	CU_ASSERT_EQUAL_FATAL(read_state(&fresh), 0);
	CU_ASSERT_EQUAL_FATAL(state_open(&in, buf_data(&state),
	    buf_len(&state), now_ms, why), 0);
	while (state_next(&in, &type, &body))
		if (type == STATE_SESSION)
			CU_ASSERT_EQUAL(gate_import(fresh, type, &body),
			    ERR_PROTO);
	gate_free(fresh);
	teardown();
}

/*
 * A state of version 1, as the first program that could be upgraded wrote it,
 * in hexadecimal: every later one reads it. A session with a stream, a
 * question in it, and an answer that waits to be sent.
 */
#define VECTOR "/tests/vectors/state-1.hex"

static FILE *open_vector(const char *mode)
{
	const char *top = getenv("top_srcdir");
	char path[1024];

	snprintf(path, sizeof(path), "%s" VECTOR, top != NULL ? top : ".");
	return fopen(path, mode);
}

/* With NRPC_WRITE_VECTOR set: for a version of the format that is new. */
static void write_vector(void)
{
	FILE *f = open_vector("w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (size_t i = 0; i < buf_len(&state); i++)
		fprintf(f, "%02x%s", buf_data(&state)[i],
		    i % 32 == 31 ? "\n" : "");
	fputc('\n', f);
	fclose(f);
}

static void read_vector(void)
{
	FILE *f = open_vector("r");
	unsigned byte;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	buf_fini(&state);
	buf_init(&state, 1 << 20);
	while (fscanf(f, "%2x", &byte) == 1)
		(void)sink(NULL, &(uint8_t){ (uint8_t)byte }, 1);
	fclose(f);
}

static void test_a_state_of_version_1_is_read(void)
{
	struct gate_session *gs;
	struct gate *fresh;
	struct stream *st;
	const uint8_t *p;

	setup();
	if (getenv("NRPC_WRITE_VECTOR") != NULL) {
		(void)greet(1);
		CU_ASSERT_EQUAL_FATAL(stream_open(client, "name", &st), 0);
		CU_ASSERT_EQUAL(stream_write(st, "question", 8), 8);
		take(ask(0, 0, false));
		CU_ASSERT_EQUAL(stream_write(accepted, "answer", 6), 6);
		gate_exchange_free(ask(0, 0, false));
		write_state();
		write_vector();
		accepted = NULL;
	}
	read_vector();
	CU_ASSERT_EQUAL_FATAL(read_state(&fresh), 0);
	gs = gate_session_find(fresh, id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(gs);
	CU_ASSERT_STRING_EQUAL(gate_session_agent(gs), "test");
	st = session_take_stream(gate_session_session(gs), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(st);
	CU_ASSERT_EQUAL(stream_peek(st, &p), 8);
	CU_ASSERT_EQUAL(memcmp(p, "question", 8), 0);
	CU_ASSERT_EQUAL(session_backlog(gate_session_session(gs)), 6);
	gate_free(fresh);
	teardown();
}

static const struct unit_test tests[] = {
	{ "a session goes on with its stream",
	    test_a_session_goes_on_with_its_stream },
	{ "a hello resumes it", test_a_hello_resumes_it },
	{ "one that waits for its first record goes on",
	    test_one_that_waits_for_its_first_record_goes_on },
	{ "the lane rule goes on", test_the_lane_rule_goes_on },
	{ "linger goes on", test_linger_goes_on },
	{ "what is held is let go", test_what_is_held_is_let_go },
	{ "numbers are left out when it was in vain",
	    test_numbers_are_left_out_when_it_was_in_vain },
	{ "a session twice is refused", test_a_session_twice_is_refused },
	{ "a state of version 1 is read", test_a_state_of_version_1_is_read },
	{ NULL, NULL },
};

int main(void)
{
	return unit_main(tests);
}
