#include "config.h"

#include "common/frame.h"

#include <string.h>

#include "common/err.h"

/* Read n numbers. 0 or ERR_MORE. */
static int get_numbers(struct wire_in *in, uint64_t *const *v, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = wire_get_varint(in, v[i]);
	return rc;
}

#define GET(in, ...) \
	get_numbers(in, (uint64_t *const[]){ __VA_ARGS__ }, \
	    sizeof((uint64_t *const[]){ __VA_ARGS__ }) / sizeof(uint64_t *))

/* Read a length of at most max and that many bytes; NULL when it is 0. */
static int get_text(struct wire_in *in, size_t max, const uint8_t **text,
    size_t *text_len)
{
	uint64_t len;
	int rc = wire_get_varint(in, &len);

	if (rc != 0)
		return rc;
	if (len > max)
		return ERR_PROTO;
	rc = wire_get_bytes(in, (size_t)len, text);
	if (rc != 0)
		return rc;
	if (len == 0)
		*text = NULL;
	*text_len = (size_t)len;
	return 0;
}

/* A run of padding is one frame, or a padded record would be 16,000. */
static void get_padding(struct wire_in *in)
{
	while (in->left > 0 && in->p[0] == FRAME_PADDING) {
		in->p++;
		in->left--;
	}
}

/*
 * Read one range of an ACK. *next is where the last one began, or one above
 * the largest number before the first, which has no gap.
 */
static int get_range(struct wire_in *in, uint64_t largest, uint64_t *next,
    struct range *out)
{
	uint64_t top = largest, gap, below;
	int rc;

	if (*next <= largest) {
		rc = wire_get_varint(in, &gap);
		if (rc != 0)
			return rc;
		/* RFC 9000 section 19.3.1: a gap of 0 leaves out one number. */
		if (*next < 2 || gap > *next - 2)
			return ERR_PROTO;
		top = *next - 2 - gap;
	}
	rc = wire_get_varint(in, &below);
	if (rc != 0)
		return rc;
	if (below > top)
		return ERR_PROTO;
	*out = (struct range){ top - below, top + 1 };
	*next = top - below;
	return 0;
}

static int get_ack(struct wire_in *in, struct frame *out)
{
	uint64_t more, next;
	struct range r;
	int rc = GET(in, &out->u.ack.largest, &more);

	if (rc != 0)
		return rc;
	if (more >= FRAME_ACK_RANGES_MAX)
		return ERR_PROTO;
	out->u.ack.count = more + 1;
	out->u.ack.rest = *in;
	next = out->u.ack.largest + 1;
	out->u.ack.next = next;
	for (uint64_t i = 0; i <= more; i++) {
		rc = get_range(in, out->u.ack.largest, &next, &r);
		if (rc != 0)
			return rc;
	}
	out->u.ack.rest.left -= in->left;
	return 0;
}

bool frame_ack_next(struct frame *ack, struct range *out)
{
	if (ack->u.ack.rest.left == 0)
		return false;
	/* Cannot fail: get_ack read the same bytes to their end. */
	return get_range(&ack->u.ack.rest, ack->u.ack.largest,
	    &ack->u.ack.next, out) == 0;
}

static int get_data(struct wire_in *in, bool fin, struct frame *out)
{
	uint64_t len;
	int rc = GET(in, &out->u.data.stream, &out->u.data.offset, &len);

	if (rc != 0)
		return rc;
	if (len > WIRE_VARINT_MAX - out->u.data.offset || len > in->left)
		return ERR_PROTO;
	out->type = FRAME_DATA;
	out->u.data.fin = fin;
	out->u.data.len = (size_t)len;
	return wire_get_bytes(in, (size_t)len, &out->u.data.data);
}

/* Read what follows a frame's type. */
static int get_body(struct wire_in *in, struct frame *out)
{
	switch (out->type) {
	case FRAME_PADDING:
		get_padding(in);
		return 0;
	case FRAME_EXCHANGE:
		return GET(in, &out->u.exchange.lane,
		    &out->u.exchange.exchange, &out->u.exchange.hold_ms,
		    &out->u.exchange.keep);
	case FRAME_END:
		return GET(in, &out->u.end.lane, &out->u.end.exchange,
		    &out->u.end.backlog);
	case FRAME_ACK:
		return get_ack(in, out);
	case FRAME_OPEN:
		if (wire_get_varint(in, &out->u.open.stream) != 0)
			return ERR_PROTO;
		return get_text(in, FRAME_NAME_MAX, &out->u.open.name,
		    &out->u.open.name_len);
	case FRAME_WINDOW:
		return GET(in, &out->u.window.stream, &out->u.window.limit);
	case FRAME_RESET:
		return GET(in, &out->u.reset.stream, &out->u.reset.code);
	case FRAME_PING:
	case FRAME_PONG:
		return wire_get_u64(in, &out->u.ping.token);
	case FRAME_CLOSE:
		if (wire_get_varint(in, &out->u.close.code) != 0)
			return ERR_PROTO;
		return get_text(in, FRAME_TEXT_MAX, &out->u.close.text,
		    &out->u.close.text_len);
	case FRAME_DATA:
	case FRAME_DATA_FIN:
		return get_data(in, out->type == FRAME_DATA_FIN, out);
	}
	return ERR_PROTO;
}

int frame_decode(struct wire_in *in, struct frame *out)
{
	struct wire_in at = *in;
	uint8_t type;

	if (wire_get_u8(&at, &type) != 0)
		return ERR_MORE;
	out->type = (enum frame_type)type;
	if (get_body(&at, out) != 0)
		return ERR_PROTO;
	*in = at;
	return 0;
}

/*
 * Write a type and n numbers, if behind them there is room for `tail` bytes
 * more; nothing otherwise.
 */
static int put_numbers(struct wire_out *out, enum frame_type type,
    const uint64_t *v, size_t n, size_t tail)
{
	size_t need = 1;

	for (size_t i = 0; i < n; i++) {
		if (v[i] > WIRE_VARINT_MAX)
			return ERR_LIMIT;
		need += wire_varint_len(v[i]);
	}
	if (need > out->left || tail > out->left - need)
		return ERR_LIMIT;
	(void)wire_put_u8(out, (uint8_t)type);	/* these fit: counted above */
	for (size_t i = 0; i < n; i++)
		(void)wire_put_varint(out, v[i]);
	return 0;
}

#define PUT(out, type, tail, ...) \
	put_numbers(out, type, (const uint64_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t), tail)

int frame_put_exchange(struct wire_out *out, uint64_t lane, uint64_t exchange,
    uint64_t hold_ms, uint64_t keep)
{
	return PUT(out, FRAME_EXCHANGE, 0, lane, exchange, hold_ms, keep);
}

int frame_put_end(struct wire_out *out, uint64_t lane, uint64_t exchange,
    uint64_t backlog)
{
	return PUT(out, FRAME_END, 0, lane, exchange, backlog);
}

int frame_put_open(struct wire_out *out, uint64_t stream, const void *name,
    size_t name_len)
{
	int rc;

	if (name_len > FRAME_NAME_MAX)
		return ERR_LIMIT;
	rc = PUT(out, FRAME_OPEN, name_len, stream, name_len);
	if (rc == 0)
		rc = wire_put_bytes(out, name, name_len);
	return rc;
}

int frame_put_window(struct wire_out *out, uint64_t stream, uint64_t limit)
{
	return PUT(out, FRAME_WINDOW, 0, stream, limit);
}

int frame_put_reset(struct wire_out *out, uint64_t stream, uint64_t code)
{
	return PUT(out, FRAME_RESET, 0, stream, code);
}

static int put_token(struct wire_out *out, enum frame_type type,
    uint64_t token)
{
	int rc = put_numbers(out, type, NULL, 0, 8);

	return rc != 0 ? rc : wire_put_u64(out, token);
}

int frame_put_ping(struct wire_out *out, uint64_t token)
{
	return put_token(out, FRAME_PING, token);
}

int frame_put_pong(struct wire_out *out, uint64_t token)
{
	return put_token(out, FRAME_PONG, token);
}

int frame_put_close(struct wire_out *out, uint64_t code, const char *text)
{
	size_t len = strnlen(text, FRAME_TEXT_MAX);
	int rc = PUT(out, FRAME_CLOSE, len, code, len);

	return rc != 0 ? rc : wire_put_bytes(out, text, len);
}

int frame_put_padding(struct wire_out *out, size_t len)
{
	if (len > out->left)
		return ERR_LIMIT;
	if (len == 0)
		return 0;
	memset(out->p, FRAME_PADDING, len);
	out->p += len;
	out->left -= len;
	return 0;
}

/* The gap between range i and the one above it, as it is sent. */
static uint64_t gap_above(const struct ranges *seen, size_t i)
{
	return seen->r[i + 1].from - seen->r[i].to - 1;
}

/* How much of a range lies below its highest number. */
static uint64_t below_top(const struct ranges *seen, size_t i)
{
	return seen->r[i].to - seen->r[i].from - 1;
}

/*
 * How many ranges below the highest fit into room bytes and reach above the
 * floor; the number itself is part of what has to fit.
 */
static size_t count_more(const struct ranges *seen, uint64_t floor,
    size_t room)
{
	size_t used = 0, n = 0;

	for (size_t i = seen->count - 1; i-- > 0; n++) {
		if (seen->r[i].to <= floor || n + 1 == FRAME_ACK_RANGES_MAX)
			break;
		used += wire_varint_len(gap_above(seen, i)) +
		    wire_varint_len(below_top(seen, i));
		if (used + wire_varint_len(n + 1) > room)
			break;
	}
	return n;
}

int frame_put_ack(struct wire_out *out, const struct ranges *seen,
    uint64_t floor, bool *whole)
{
	size_t top = seen->count - 1, n, head;
	uint64_t largest;
	int rc;

	if (seen->count == 0 || seen->r[top].to <= floor)
		return ERR_NOENT;
	largest = seen->r[top].to - 1;
	head = 1 + wire_varint_len(largest) +
	    wire_varint_len(below_top(seen, top));
	if (head >= out->left)
		return ERR_LIMIT;
	n = count_more(seen, floor, out->left - head);
	rc = PUT(out, FRAME_ACK, 0, largest, n, below_top(seen, top));
	if (rc != 0)
		return rc;
	for (size_t i = top; i-- > top - n;) {
		(void)wire_put_varint(out, gap_above(seen, i));
		(void)wire_put_varint(out, below_top(seen, i));
	}
	*whole = n == top || seen->r[top - n - 1].to <= floor;
	return 0;
}

int frame_put_data_head(struct wire_out *out, uint64_t stream,
    uint64_t offset, size_t len, bool fin)
{
	if (offset > WIRE_VARINT_MAX || len > WIRE_VARINT_MAX - offset)
		return ERR_LIMIT;
	return PUT(out, fin ? FRAME_DATA_FIN : FRAME_DATA, len, stream, offset,
	    len);
}

size_t frame_data_room(size_t left, uint64_t stream, uint64_t offset)
{
	size_t head = 1 + wire_varint_len(stream) + wire_varint_len(offset);
	size_t n;

	if (offset > WIRE_VARINT_MAX || left < head + 2)
		return 0;
	left -= head;
	/* The length field takes of the room that it counts: 1 to 8 bytes. */
	n = left - 1;
	while (n + wire_varint_len(n) > left)
		n--;
	if (n > WIRE_VARINT_MAX - offset)
		n = (size_t)(WIRE_VARINT_MAX - offset);
	return n;
}
