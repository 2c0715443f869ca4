#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hello.h"
#include "common/wire.h"
#include "tests/unit/unit.h"

#define HEAD 4u				/* mark, version, length */

static const uint8_t id[RECORD_ID_LEN] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
static const uint8_t other_id[RECORD_ID_LEN] = { 9, 8, 7, 6, 5, 4, 3, 2, 2 };

static const struct hello sample = {
	.generation = 513,
	.initial_window = 65536,
	.max_streams = 512,
	.agent = "nrpc-tunnel/0.1.0"
};

static const struct hello_answer welcome = {
	.status = HELLO_RESUMED,
	.initial_window = 262144,
	.max_streams = 7,
	.hold_max_ms = 25000,
	.linger_ms = 900000,
	.agent = "nrpc-gateway/0.1.0",
	.http2_window = 262144,
	.open_request_max = 16777216,
	.query_max = 192
};

/* A device, a gateway, and how far they have come. */
struct two {
	struct noise_keys device, gateway;
	struct noise *client, *server;
	uint8_t hello[HELLO_MAX], answer[HELLO_MAX];
	size_t hello_len, answer_len;
	struct hello_keys keys;		/* as the gateway has them */
};

/* Up to the hello, which is not yet accepted. */
static void two_start(struct two *t, const struct hello *h)
{
	*t = (struct two){ 0 };
	noise_keys_generate(&t->device);
	noise_keys_generate(&t->gateway);
	CU_ASSERT_EQUAL_FATAL(hello_start(&t->client, &t->device,
	    t->gateway.pub, id, h, t->hello, &t->hello_len), 0);
	CU_ASSERT(t->hello_len <= HELLO_MAX);
}

/* Up to the answer, which is not yet finished. */
static void two_answer(struct two *t, const struct hello_answer *a)
{
	struct hello h;

	two_start(t, &sample);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t->server, &t->gateway, id,
	    t->hello, t->hello_len, &h), 0);
	CU_ASSERT_EQUAL_FATAL(hello_reply(t->server, a, t->answer,
	    &t->answer_len, &t->keys), 0);
	CU_ASSERT(t->answer_len <= HELLO_MAX);
}

static void two_fini(struct two *t)
{
	noise_free(t->client);
	noise_free(t->server);
}

static int accept_as(const struct noise_keys *gateway, const uint8_t *session,
    const uint8_t *data, size_t len)
{
	struct hello h;
	struct noise *n = NULL;
	int rc;

	rc = hello_accept(&n, gateway, session, data, len, &h);
	CU_ASSERT(rc == 0 || n == NULL);
	noise_free(n);
	return rc;
}

static void test_both_ends_learn_of_each_other_and_share_keys(void)
{
	struct hello_answer a = { 0 };
	struct hello_keys keys = { 0 };
	struct hello h = { 0 };
	struct two t;

	two_start(&t, &sample);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t.server, &t.gateway, id, t.hello,
	    t.hello_len, &h), 0);
	CU_ASSERT_EQUAL(memcmp(noise_remote(t.server), t.device.pub, 32), 0);
	CU_ASSERT_EQUAL(h.generation, sample.generation);
	CU_ASSERT_EQUAL(h.initial_window, sample.initial_window);
	CU_ASSERT_EQUAL(h.max_streams, sample.max_streams);
	CU_ASSERT_STRING_EQUAL(h.agent, sample.agent);

	CU_ASSERT_EQUAL_FATAL(hello_reply(t.server, &welcome, t.answer,
	    &t.answer_len, &t.keys), 0);
	CU_ASSERT_EQUAL_FATAL(hello_finish(t.client, t.answer, t.answer_len,
	    &a, &keys), 0);
	CU_ASSERT_EQUAL(a.status, welcome.status);
	CU_ASSERT_EQUAL(a.initial_window, welcome.initial_window);
	CU_ASSERT_EQUAL(a.max_streams, welcome.max_streams);
	CU_ASSERT_EQUAL(a.hold_max_ms, welcome.hold_max_ms);
	CU_ASSERT_EQUAL(a.linger_ms, welcome.linger_ms);
	CU_ASSERT_EQUAL(a.http2_window, welcome.http2_window);
	CU_ASSERT_EQUAL(a.open_request_max, welcome.open_request_max);
	CU_ASSERT_EQUAL(a.query_max, welcome.query_max);
	CU_ASSERT_STRING_EQUAL(a.agent, welcome.agent);
	CU_ASSERT_EQUAL(memcmp(&keys, &t.keys, sizeof(keys)), 0);
	CU_ASSERT(memcmp(keys.from_client, keys.from_gateway, 32) != 0);
	two_fini(&t);
}

static void test_the_longest_hello_and_answer_fit(void)
{
	struct hello h = {
		.generation = HELLO_GENERATION_MAX,
		.initial_window = WIRE_VARINT_MAX,
		.max_streams = WIRE_VARINT_MAX
	};
	struct hello_answer a = {
		.status = HELLO_CREATED,
		.initial_window = WIRE_VARINT_MAX,
		.max_streams = WIRE_VARINT_MAX,
		.hold_max_ms = WIRE_VARINT_MAX,
		.linger_ms = WIRE_VARINT_MAX
	}, got;
	struct hello_keys keys;
	struct hello back;
	struct two t;

	memset(h.agent, 'c', HELLO_AGENT_MAX);
	memset(a.agent, 'g', HELLO_AGENT_MAX);
	two_start(&t, &h);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t.server, &t.gateway, id, t.hello,
	    t.hello_len, &back), 0);
	CU_ASSERT_EQUAL(back.generation, HELLO_GENERATION_MAX);
	CU_ASSERT_EQUAL(back.max_streams, WIRE_VARINT_MAX);
	CU_ASSERT_STRING_EQUAL(back.agent, h.agent);
	CU_ASSERT_EQUAL_FATAL(hello_reply(t.server, &a, t.answer,
	    &t.answer_len, &keys), 0);
	CU_ASSERT_EQUAL_FATAL(hello_finish(t.client, t.answer, t.answer_len,
	    &got, &keys), 0);
	CU_ASSERT_EQUAL(got.linger_ms, WIRE_VARINT_MAX);
	CU_ASSERT_STRING_EQUAL(got.agent, a.agent);
	two_fini(&t);
}

static void test_numbers_too_large_for_the_wire_are_refused(void)
{
	struct hello h = { .max_streams = WIRE_VARINT_MAX + 1 };
	struct hello_answer a = { .linger_ms = WIRE_VARINT_MAX + 1 };
	struct noise *n = NULL;
	struct two t;

	two_start(&t, &sample);
	CU_ASSERT_EQUAL(hello_start(&n, &t.device, t.gateway.pub, id, &h,
	    t.hello, &t.hello_len), ERR_LIMIT);
	CU_ASSERT(n == NULL);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t.server, &t.gateway, id, t.hello,
	    t.hello_len, &h), 0);
	CU_ASSERT_EQUAL(hello_reply(t.server, &a, t.answer, &t.answer_len,
	    &t.keys), ERR_LIMIT);
	two_fini(&t);
}

static void test_peek_tells_the_length_and_nothing_but_a_hello(void)
{
	static const struct {
		uint8_t head[HEAD];
		int rc;
	} cases[] = {
		{ { HELLO_MARK, 1, 0, 100 }, 0 },
		{ { HELLO_MARK, 1, 1, 252 }, 0 },	/* 4 + 508 */
		{ { HELLO_MARK, 1, 1, 253 }, ERR_PROTO },
		{ { HELLO_MARK, 1, 0, 47 }, ERR_PROTO },
		{ { HELLO_MARK, 0, 0, 100 }, ERR_PROTO },
		{ { HELLO_MARK, 2, 0, 100 }, ERR_PROTO },
		{ { HELLO_ANSWER_MARK, 1, 0, 100 }, ERR_PROTO },
		{ { '<', 'h', 't', 'm' }, ERR_PROTO },
		{ { 0, 100, 0, 0 }, ERR_PROTO }
	};
	struct two t;
	size_t whole;

	two_answer(&t, &welcome);
	for (size_t cut = 0; cut < HEAD; cut++)
		CU_ASSERT_EQUAL(hello_peek(HELLO_MARK, t.hello, cut, &whole),
		    ERR_MORE);
	CU_ASSERT_EQUAL(hello_peek(HELLO_MARK, t.hello, HEAD, &whole), 0);
	CU_ASSERT_EQUAL(whole, t.hello_len);
	CU_ASSERT_EQUAL(hello_peek(HELLO_ANSWER_MARK, t.answer, HEAD, &whole),
	    0);
	CU_ASSERT_EQUAL(whole, t.answer_len);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(hello_peek(HELLO_MARK, cases[i].head, HEAD,
		    &whole), cases[i].rc);
	two_fini(&t);
}

static void test_a_flipped_bit_anywhere_in_a_hello_is_refused(void)
{
	struct two t;

	two_start(&t, &sample);
	/* Including the top bit of e, which X25519 by itself ignores. */
	for (size_t bit = 0; bit < 8 * t.hello_len; bit++) {
		t.hello[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(accept_as(&t.gateway, id, t.hello,
		    t.hello_len), ERR_CRYPTO);
		t.hello[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CU_ASSERT_EQUAL(accept_as(&t.gateway, id, t.hello, t.hello_len),
	    0);
	two_fini(&t);
}

static void test_a_hello_of_another_length_is_refused(void)
{
	uint8_t longer[HELLO_MAX + 1] = { 0 };
	struct two t;

	two_start(&t, &sample);
	for (size_t cut = 0; cut < t.hello_len; cut++) {
		uint8_t *exact = malloc(cut + 1);

		CU_ASSERT_FATAL(exact != NULL);
		memcpy(exact + 1, t.hello, cut);
		CU_ASSERT_EQUAL(accept_as(&t.gateway, id, exact + 1, cut),
		    ERR_CRYPTO);
		if (cut >= HEAD) {	/* and with a length that agrees */
			wire_store_u16(exact + 3, (uint16_t)(cut - HEAD));
			CU_ASSERT_EQUAL(accept_as(&t.gateway, id,
			    exact + 1, cut), ERR_CRYPTO);
		}
		free(exact);
	}
	memcpy(longer, t.hello, t.hello_len);
	CU_ASSERT_EQUAL(accept_as(&t.gateway, id, longer, t.hello_len + 1),
	    ERR_CRYPTO);
	two_fini(&t);
}

static void test_a_hello_is_for_one_gateway_and_one_session(void)
{
	struct noise_keys other;
	struct two t;

	two_start(&t, &sample);
	noise_keys_generate(&other);
	CU_ASSERT_EQUAL(accept_as(&other, id, t.hello, t.hello_len),
	    ERR_CRYPTO);
	CU_ASSERT_EQUAL(accept_as(&t.gateway, other_id, t.hello,
	    t.hello_len), ERR_CRYPTO);
	two_fini(&t);
}

static void test_a_replayed_hello_gives_other_keys(void)
{
	struct hello_keys again;
	struct noise *n = NULL;
	struct hello h;
	struct two t;

	two_answer(&t, &welcome);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&n, &t.gateway, id, t.hello,
	    t.hello_len, &h), 0);
	CU_ASSERT_EQUAL(hello_reply(n, &welcome, t.answer, &t.answer_len,
	    &again), 0);
	CU_ASSERT(memcmp(&again, &t.keys, sizeof(again)) != 0);
	noise_free(n);
	two_fini(&t);
}

static int finish_once(const struct two *t, const uint8_t *answer, size_t len)
{
	struct hello_answer a = { .agent = "untouched" };
	struct hello_keys keys = { { 0x11 }, { 0x22 } };
	int rc;

	rc = hello_finish(t->client, answer, len, &a, &keys);
	if (rc != 0) {
		CU_ASSERT_STRING_EQUAL(a.agent, "untouched");
		CU_ASSERT_EQUAL(keys.from_client[0], 0x11);
		CU_ASSERT_EQUAL(keys.from_gateway[0], 0x22);
	}
	return rc;
}

static void test_a_flipped_bit_anywhere_in_an_answer_is_refused(void)
{
	struct two t;
	size_t bits;

	two_answer(&t, &welcome);
	bits = 8 * t.answer_len;
	two_fini(&t);
	for (size_t bit = 0; bit < bits; bit++) {
		two_answer(&t, &welcome);
		t.answer[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_EQUAL(finish_once(&t, t.answer, t.answer_len),
		    ERR_CRYPTO);
		two_fini(&t);
	}
}

static void test_an_answer_of_another_length_is_refused(void)
{
	struct two t;
	size_t whole;

	two_answer(&t, &welcome);
	whole = t.answer_len;
	two_fini(&t);
	for (size_t cut = 0; cut < whole; cut++) {
		two_answer(&t, &welcome);
		CU_ASSERT_EQUAL(finish_once(&t, t.answer, cut), ERR_CRYPTO);
		if (cut >= HEAD) {
			wire_store_u16(t.answer + 2, (uint16_t)(cut - HEAD));
			CU_ASSERT_EQUAL(finish_once(&t, t.answer, cut),
			    ERR_CRYPTO);
		}
		two_fini(&t);
	}
}

static void test_an_answer_from_another_gateway_is_refused(void)
{
	struct two t, other;

	two_answer(&t, &welcome);
	two_answer(&other, &welcome);
	CU_ASSERT_EQUAL(finish_once(&t, other.answer, other.answer_len),
	    ERR_CRYPTO);
	two_fini(&t);
	two_fini(&other);
}

static void test_an_answer_to_another_hello_is_refused(void)
{
	struct noise *later = NULL;
	struct two t;

	two_answer(&t, &welcome);
	CU_ASSERT_EQUAL_FATAL(hello_start(&later, &t.device, t.gateway.pub, id,
	    &sample, t.hello, &t.hello_len), 0);
	noise_free(t.client);
	t.client = later;
	CU_ASSERT_EQUAL(finish_once(&t, t.answer, t.answer_len), ERR_CRYPTO);
	two_fini(&t);
}

static void test_what_is_no_answer_leaves_the_handshake_alive(void)
{
	static const char portal[] = "<html><body>Welcome</body></html>";
	struct two t;

	two_answer(&t, &welcome);
	CU_ASSERT_EQUAL(finish_once(&t, (const uint8_t *)portal,
	    sizeof(portal) - 1), ERR_CRYPTO);
	CU_ASSERT_EQUAL(finish_once(&t, t.hello, t.hello_len), ERR_CRYPTO);
	CU_ASSERT_EQUAL(finish_once(&t, t.answer, t.answer_len), 0);
	two_fini(&t);
}

static void test_finishing_or_replying_twice_is_refused(void)
{
	struct two t;

	two_answer(&t, &welcome);
	CU_ASSERT_EQUAL(finish_once(&t, t.answer, t.answer_len), 0);
	CU_ASSERT_EQUAL(finish_once(&t, t.answer, t.answer_len), ERR_STATE);
	CU_ASSERT_EQUAL(hello_reply(t.server, &welcome, t.answer,
	    &t.answer_len, &t.keys), ERR_STATE);
	two_fini(&t);
}

static void test_a_refusal_carries_neither_keys_nor_numbers(void)
{
	static const enum hello_status no[] = {
		HELLO_UNKNOWN_DEVICE, HELLO_REVOKED_DEVICE, HELLO_BUSY
	};

	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct hello_keys keys, untouched;
		struct hello_answer a = welcome, got = { 0 };
		struct two t;

		memset(&untouched, 0, sizeof(untouched));
		memset(&keys, 0, sizeof(keys));
		a.status = no[i];
		two_answer(&t, &a);
		CU_ASSERT_EQUAL(memcmp(&t.keys, &untouched, sizeof(keys)), 0);
		CU_ASSERT_EQUAL(hello_finish(t.client, t.answer, t.answer_len,
		    &got, &keys), 0);
		CU_ASSERT_EQUAL(got.status, no[i]);
		CU_ASSERT_EQUAL(got.initial_window, 0);
		CU_ASSERT_EQUAL(got.linger_ms, 0);
		CU_ASSERT_EQUAL(got.http2_window, 0);
		CU_ASSERT_EQUAL(got.open_request_max, 0);
		CU_ASSERT_EQUAL(got.query_max, 0);
		CU_ASSERT_STRING_EQUAL(got.agent, welcome.agent);
		CU_ASSERT_EQUAL(memcmp(&keys, &untouched, sizeof(keys)), 0);
		two_fini(&t);
	}
}

static void test_an_agent_is_made_printable(void)
{
	struct hello h = sample, back;
	struct two t;

	memcpy(h.agent, "a\x1b[31m\xc3\xa4 ~\x7f\n", 13);
	two_start(&t, &h);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t.server, &t.gateway, id, t.hello,
	    t.hello_len, &back), 0);
	CU_ASSERT_STRING_EQUAL(back.agent, "a?[31m?? ~??");
	two_fini(&t);
}

/* Prologue as the header of hello.h has it: what a second program would do. */
static size_t make_prologue(uint8_t out[64])
{
	memcpy(out, "nrpc-tunnel\x01", 12);
	memcpy(out + 12, id, sizeof(id));
	return 12 + sizeof(id);
}

/* Seal any payload as a real device would, and have it accepted. */
static int accept_payload(const void *payload, size_t len, struct hello *out)
{
	uint8_t prologue[64], data[HELLO_MAX] = { HELLO_MARK, 1 };
	struct noise_keys device, gateway;
	struct noise *n = NULL, *server = NULL;
	size_t plen = make_prologue(prologue), n_len = 0;
	int rc;

	noise_keys_generate(&device);
	noise_keys_generate(&gateway);
	CU_ASSERT_EQUAL_FATAL(noise_new_initiator(&n, &device, gateway.pub,
	    prologue, plen, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(noise_write(n, payload, len, data + HEAD,
	    &n_len), 0);
	wire_store_u16(data + 2, (uint16_t)n_len);
	rc = hello_accept(&server, &gateway, id, data, HEAD + n_len, out);
	noise_free(n);
	noise_free(server);
	return rc;
}

/* The same for an answer. */
static int finish_payload(const void *payload, size_t len,
    struct hello_answer *out)
{
	uint8_t data[HELLO_MAX] = { HELLO_ANSWER_MARK, 1 };
	struct hello_keys keys;
	struct hello h;
	struct two t;
	size_t n_len = 0;
	int rc;

	two_start(&t, &sample);
	CU_ASSERT_EQUAL_FATAL(hello_accept(&t.server, &t.gateway, id, t.hello,
	    t.hello_len, &h), 0);
	CU_ASSERT_EQUAL_FATAL(noise_write(t.server, payload, len, data + HEAD,
	    &n_len), 0);
	wire_store_u16(data + 2, (uint16_t)n_len);
	rc = hello_finish(t.client, data, HEAD + n_len, out, &keys);
	two_fini(&t);
	return rc;
}

static void test_the_payloads_are_laid_out_as_documented(void)
{
	/* 513 | 65536 | 3 | "hi" */
	static const uint8_t hello[] = {
		0x42, 0x01, 0x80, 0x01, 0x00, 0x00, 3, 2, 'h', 'i'
	};
	/* created | 1 | 2 | 25000 | 5 | "" */
	static const uint8_t answer[] = { 0, 1, 2, 0x80, 0, 0x61, 0xa8, 5, 0 };
	struct hello h = { 0 };
	struct hello_answer a = { 0 };

	CU_ASSERT_EQUAL(accept_payload(hello, sizeof(hello), &h), 0);
	CU_ASSERT_EQUAL(h.generation, 513);
	CU_ASSERT_EQUAL(h.initial_window, 65536);
	CU_ASSERT_EQUAL(h.max_streams, 3);
	CU_ASSERT_STRING_EQUAL(h.agent, "hi");
	CU_ASSERT_EQUAL(finish_payload(answer, sizeof(answer), &a), 0);
	CU_ASSERT_EQUAL(a.status, HELLO_CREATED);
	CU_ASSERT_EQUAL(a.initial_window, 1);
	CU_ASSERT_EQUAL(a.max_streams, 2);
	CU_ASSERT_EQUAL(a.hold_max_ms, 25000);
	CU_ASSERT_EQUAL(a.linger_ms, 5);
	CU_ASSERT_STRING_EQUAL(a.agent, "");

	for (size_t cut = 0; cut < sizeof(hello); cut++)
		CU_ASSERT_EQUAL(accept_payload(hello, cut, &h), ERR_PROTO);
	for (size_t cut = 0; cut < sizeof(answer); cut++)
		CU_ASSERT_EQUAL(finish_payload(answer, cut, &a), ERR_PROTO);
}

static void test_bytes_of_later_versions_are_ignored(void)
{
	static const uint8_t hello[] = { 1, 2, 3, 1, 'x', 0xff, 0xff, 0xff };
	static const uint8_t answer[] = { 1, 2, 3, 4, 5, 1, 'y', 0x80, 4, 0, 0,
	    0x80, 1, 0, 0, 0x40, 192, 0xff, 0 };
	struct hello h = { 0 };
	struct hello_answer a = { 0 };

	CU_ASSERT_EQUAL(accept_payload(hello, sizeof(hello), &h), 0);
	CU_ASSERT_STRING_EQUAL(h.agent, "x");
	CU_ASSERT_EQUAL(finish_payload(answer, sizeof(answer), &a), 0);
	CU_ASSERT_EQUAL(a.status, HELLO_RESUMED);
	CU_ASSERT_STRING_EQUAL(a.agent, "y");
	CU_ASSERT_EQUAL(a.http2_window, 262144);
	CU_ASSERT_EQUAL(a.open_request_max, 65536);
	CU_ASSERT_EQUAL(a.query_max, 192);
	/* These three may be missing, or be something else one day. */
	CU_ASSERT_EQUAL(finish_payload(answer, 7, &a), 0);
	CU_ASSERT_EQUAL(a.http2_window, 0);
	CU_ASSERT_EQUAL(a.open_request_max, 0);
	CU_ASSERT_EQUAL(finish_payload(answer, 9, &a), 0);
	CU_ASSERT_EQUAL(a.http2_window, 0);
	CU_ASSERT_EQUAL(finish_payload(answer, 13, &a), 0);
	CU_ASSERT_EQUAL(a.http2_window, 262144);
	CU_ASSERT_EQUAL(a.open_request_max, 0);
	CU_ASSERT_EQUAL(finish_payload(answer, 16, &a), 0);
	CU_ASSERT_EQUAL(a.open_request_max, 65536);
	CU_ASSERT_EQUAL(a.query_max, 0);
}

static void test_authentic_nonsense_is_a_broken_protocol(void)
{
	static const uint8_t generation[] = { 0x80, 1, 0, 0, 1, 1, 0 };
	static const uint8_t status[] = { HELLO_BUSY + 1, 1, 1, 1, 1, 0 };
	uint8_t agent[3 + 2 + HELLO_AGENT_MAX + 1] = { 1, 1, 1, 0x40, 65 };
	struct hello_answer a;
	struct hello h;

	CU_ASSERT_EQUAL(accept_payload(generation, sizeof(generation), &h),
	    ERR_PROTO);
	CU_ASSERT_EQUAL(accept_payload(agent, sizeof(agent), &h), ERR_PROTO);
	CU_ASSERT_EQUAL(finish_payload(status, sizeof(status), &a), ERR_PROTO);
}

static void test_every_status_has_words(void)
{
	for (int s = HELLO_CREATED; s <= HELLO_BUSY + 1; s++)
		CU_ASSERT(strlen(hello_status_text((enum hello_status)s)) > 0);
	CU_ASSERT(strcmp(hello_status_text(HELLO_UNKNOWN_DEVICE),
	    hello_status_text(HELLO_REVOKED_DEVICE)) != 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "both ends learn of each other and share keys",
		    test_both_ends_learn_of_each_other_and_share_keys },
		{ "the longest hello and answer fit",
		    test_the_longest_hello_and_answer_fit },
		{ "numbers too large for the wire are refused",
		    test_numbers_too_large_for_the_wire_are_refused },
		{ "peek tells the length, and of nothing but a hello",
		    test_peek_tells_the_length_and_nothing_but_a_hello },
		{ "a flipped bit anywhere in a hello is refused",
		    test_a_flipped_bit_anywhere_in_a_hello_is_refused },
		{ "a hello of another length is refused",
		    test_a_hello_of_another_length_is_refused },
		{ "a hello is for one gateway and one session",
		    test_a_hello_is_for_one_gateway_and_one_session },
		{ "a replayed hello gives other keys",
		    test_a_replayed_hello_gives_other_keys },
		{ "a flipped bit anywhere in an answer is refused",
		    test_a_flipped_bit_anywhere_in_an_answer_is_refused },
		{ "an answer of another length is refused",
		    test_an_answer_of_another_length_is_refused },
		{ "an answer from another gateway is refused",
		    test_an_answer_from_another_gateway_is_refused },
		{ "an answer to another hello is refused",
		    test_an_answer_to_another_hello_is_refused },
		{ "what is no answer leaves the handshake alive",
		    test_what_is_no_answer_leaves_the_handshake_alive },
		{ "finishing or replying twice is refused",
		    test_finishing_or_replying_twice_is_refused },
		{ "a refusal carries neither keys nor numbers",
		    test_a_refusal_carries_neither_keys_nor_numbers },
		{ "an agent is made printable",
		    test_an_agent_is_made_printable },
		{ "the payloads are laid out as documented",
		    test_the_payloads_are_laid_out_as_documented },
		{ "bytes of later versions are ignored",
		    test_bytes_of_later_versions_are_ignored },
		{ "authentic nonsense is a broken protocol",
		    test_authentic_nonsense_is_a_broken_protocol },
		{ "every status has words", test_every_status_has_words },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
