/*
 * Frames, on any bytes: what decodes must keep what frame.h promises, must
 * decode to the same again when it is written, and nothing may be read behind
 * the end.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/frame.h"

#define ROOM 70000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
void fuzz_seeds(void (*add)(const uint8_t *data, size_t len));

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Do the bytes at p lie inside the input? */
static bool inside(const uint8_t *data, size_t len, const uint8_t *p, size_t n)
{
	return n == 0 || (p >= data && p <= data + len &&
	    n <= (size_t)(data + len - p));
}

/* Walk an ACK and give its ranges back in a set. */
static void collect(struct frame f, struct ranges *set)
{
	uint64_t before = f.u.ack.largest + 2, count = f.u.ack.count;
	struct range r;

	must(count >= 1 && count <= FRAME_ACK_RANGES_MAX);
	while (frame_ack_next(&f, &r)) {
		must(r.from < r.to && r.to < before);
		must(set->count > 0 || r.to == f.u.ack.largest + 1);
		must(ranges_add(set, r.from, r.to) == 0);
		before = r.from;
		count--;
	}
	must(count == 0);
	must(f.u.ack.count == set->count);
}

/* Write a frame as it was decoded. */
static int put(struct wire_out *out, const struct frame *f)
{
	struct ranges set;
	bool whole;
	int rc;

	switch (f->type) {
	case FRAME_PADDING:
		return frame_put_padding(out, 1);
	case FRAME_EXCHANGE:
		return frame_put_exchange(out, f->u.exchange.lane,
		    f->u.exchange.exchange, f->u.exchange.hold_ms,
		    f->u.exchange.keep);
	case FRAME_END:
		return frame_put_end(out, f->u.end.lane, f->u.end.exchange,
		    f->u.end.backlog);
	case FRAME_ACK:
		ranges_init(&set, FRAME_ACK_RANGES_MAX);
		collect(*f, &set);
		rc = frame_put_ack(out, &set, 0, &whole);
		ranges_fini(&set);
		return rc;
	case FRAME_OPEN:
		return frame_put_open(out, f->u.open.stream, f->u.open.name,
		    f->u.open.name_len);
	case FRAME_WINDOW:
		return frame_put_window(out, f->u.window.stream,
		    f->u.window.limit);
	case FRAME_RESET:
		return frame_put_reset(out, f->u.reset.stream,
		    f->u.reset.code);
	case FRAME_PING:
		return frame_put_ping(out, f->u.ping.token);
	case FRAME_PONG:
		return frame_put_pong(out, f->u.ping.token);
	case FRAME_CLOSE: {
		char text[FRAME_TEXT_MAX + 1] = { 0 };

		if (f->u.close.text_len > 0)
			memcpy(text, f->u.close.text, f->u.close.text_len);
		return frame_put_close(out, f->u.close.code, text);
	}
	case FRAME_DATA:
		rc = frame_put_data_head(out, f->u.data.stream,
		    f->u.data.offset, f->u.data.len, f->u.data.fin);
		return rc != 0 ? rc : wire_put_bytes(out, f->u.data.data,
		    f->u.data.len);
	case FRAME_DATA_FIN:
		break;
	}
	abort();		/* never comes out of frame_decode */
}

/* The same text: only before a NUL in CLOSE, whose writer takes a string. */
static bool same_text(const struct frame *a, const struct frame *b)
{
	size_t n = b->u.close.text_len;

	return n <= a->u.close.text_len &&
	    (n == 0 || memcmp(a->u.close.text, b->u.close.text, n) == 0);
}

/* Do the numbers and bytes of both frames agree? */
static bool same(const struct frame *a, const struct frame *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case FRAME_ACK:
		return a->u.ack.largest == b->u.ack.largest &&
		    a->u.ack.count == b->u.ack.count;
	case FRAME_OPEN:
		return a->u.open.stream == b->u.open.stream &&
		    a->u.open.name_len == b->u.open.name_len &&
		    (a->u.open.name_len == 0 || memcmp(a->u.open.name,
		    b->u.open.name, a->u.open.name_len) == 0);
	case FRAME_CLOSE:
		return a->u.close.code == b->u.close.code && same_text(a, b);
	case FRAME_DATA:
		return a->u.data.stream == b->u.data.stream &&
		    a->u.data.offset == b->u.data.offset &&
		    a->u.data.fin == b->u.data.fin &&
		    a->u.data.len == b->u.data.len &&
		    (a->u.data.len == 0 || memcmp(a->u.data.data,
		    b->u.data.data, a->u.data.len) == 0);
	case FRAME_EXCHANGE:
		return memcmp(&a->u, &b->u, sizeof(a->u.exchange)) == 0;
	case FRAME_END:
		return memcmp(&a->u, &b->u, sizeof(a->u.end)) == 0;
	case FRAME_WINDOW:
	case FRAME_RESET:
		return memcmp(&a->u, &b->u, sizeof(a->u.window)) == 0;
	case FRAME_PING:
	case FRAME_PONG:
		return a->u.ping.token == b->u.ping.token;
	case FRAME_PADDING:
	case FRAME_DATA_FIN:
		break;
	}
	return true;
}

static void check(const uint8_t *data, size_t len, const struct frame *f)
{
	static uint8_t room[ROOM];
	struct wire_out out = { room, sizeof(room) };
	struct wire_in in = { room, 0 };
	struct frame again;

	if (f->type == FRAME_OPEN)
		must(f->u.open.name_len <= FRAME_NAME_MAX && inside(data, len,
		    f->u.open.name, f->u.open.name_len));
	if (f->type == FRAME_CLOSE)
		must(f->u.close.text_len <= FRAME_TEXT_MAX && inside(data, len,
		    f->u.close.text, f->u.close.text_len));
	if (f->type == FRAME_DATA)
		must(f->u.data.len <= WIRE_VARINT_MAX - f->u.data.offset &&
		    inside(data, len, f->u.data.data, f->u.data.len));
	must(put(&out, f) == 0);
	in.left = (size_t)(out.p - room);
	must(frame_decode(&in, &again) == 0 && in.left == 0);
	must(same(f, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_in in = { data, len };
	struct frame f;
	int rc;

	if (len > ROOM / 2)
		return 0;
	for (;;) {
		size_t left = in.left;

		rc = frame_decode(&in, &f);
		if (rc != 0)
			break;
		must(in.left < left && in.p == data + (len - in.left));
		check(data, len, &f);
	}
	must(rc == ERR_PROTO || (rc == ERR_MORE && in.left == 0));
	return 0;
}

void fuzz_seeds(void (*add)(const uint8_t *data, size_t len))
{
	static const uint8_t acks[] = { FRAME_ACK, 0x7f, 0xff, 4, 3, 0, 0, 9,
		8, 0x40, 0x80, 0x41, 0x00, 1, 1, FRAME_ACK, 5, 0, 5,
		FRAME_ACK, 5, 1, 1, 0, 2 };
	uint8_t mem[400];
	struct wire_out out = { mem, sizeof(mem) };

	add(acks, sizeof(acks));
	(void)frame_put_exchange(&out, 3, 1000, 25000, 1);
	(void)frame_put_open(&out, 4, "CN=Mail1/O=Acme", 15);
	(void)frame_put_data_head(&out, 4, 0, 20, false);
	(void)wire_put_bytes(&out, "twenty bytes of data", 20);
	(void)frame_put_data_head(&out, 4, 20, 0, true);
	(void)frame_put_window(&out, 4, UINT64_C(1) << 40);
	(void)frame_put_reset(&out, 6, 2);
	(void)frame_put_padding(&out, 9);
	(void)frame_put_ping(&out, 77);
	(void)frame_put_pong(&out, UINT64_MAX);
	(void)frame_put_close(&out, 3, "going down");
	(void)frame_put_end(&out, 3, 1001, 1 << 20);
	add(mem, sizeof(mem) - out.left);
}
