#include "config.h"

#include "tests/fuzz/forge.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/frame.h"
#include "common/session.h"

#define FRAMES_MAX 24u		/* in one record */
#define TAIL 64u		/* kept free for END */

void forge_must(bool ok)
{
	if (!ok)
		abort();
}

uint8_t forge_pattern(uint64_t stream, uint64_t offset)
{
	return (uint8_t)(stream * 31 + offset * 7 + (offset >> 8) + 1);
}

void forge_keys(struct forge *f, uint16_t generation,
    const uint8_t seal[32], const uint8_t open[32])
{
	forge_fini(f);
	f->epoch = 0;
	forge_must(record_key_new(&f->seal, seal, generation, f->id) == 0);
	forge_must(record_key_new(&f->open, open, generation, f->id) == 0);
}

void forge_fini(struct forge *f)
{
	record_key_free(f->seal);
	record_key_free(f->open);
	f->seal = f->open = NULL;
}

/* ---- what is sent ----------------------------------------------------- */

static uint64_t choose_stream(struct choices *c)
{
	return choose_chance(c, 8) ? choose_number(c) :
	    choose_below(c, FORGE_STREAMS);
}

static void put_data(struct forge *f, struct choices *c, struct wire_out *w,
    bool fin)
{
	uint64_t id = choose_stream(c), offset = 0;
	size_t len = (size_t)choose_below(c, choose_chance(c, 64) ? 8192 : 200);

	if (id < FORGE_STREAMS)
		offset = f->offset[id];
	if (choose_chance(c, 48))
		offset += choose_below(c, 70000);
	else if (choose_chance(c, 16))
		offset = choose_number(c);
	if (w->left < 32 || offset > WIRE_VARINT_MAX - len)
		return;
	if (len > w->left - 32)
		len = w->left - 32;
	if (frame_put_data_head(w, id, offset, len, fin) != 0)
		return;
	for (size_t i = 0; i < len; i++)
		*w->p++ = forge_pattern(id, offset + i);
	w->left -= len;
	if (id < FORGE_STREAMS && offset == f->offset[id])
		f->offset[id] += len;
}

static void put_ack(struct forge *f, struct choices *c, struct wire_out *w)
{
	uint64_t to = f->heard + 1, n;
	struct ranges set;
	bool whole;

	ranges_init(&set, FRAME_ACK_RANGES_MAX);
	if (choose_chance(c, 8))
		to = choose_number(c) + 1;
	for (size_t i = choose_below(c, 4) + 1; i > 0 && to > 0; i--) {
		n = choose_below(c, 40) + 1;
		if (n > to)
			n = to;
		(void)ranges_add(&set, to - n, to);
		to -= n;
		n = choose_below(c, 4);
		to -= n < to ? n : to;
	}
	(void)frame_put_ack(w, &set, 0, &whole);
	ranges_fini(&set);
}

static void put_raw(struct forge *f, struct choices *c, struct wire_out *w)
{
	size_t n = (size_t)choose_below(c, 40) + 1;

	f->tainted = true;
	for (; n > 0 && w->left > 0; n--)
		(void)wire_put_u8(w, choose_byte(c));
}

static void put_open(struct choices *c, struct wire_out *w)
{
	uint64_t id = choose_stream(c);
	char name[FRAME_NAME_MAX];
	size_t len = (size_t)choose_below(c, choose_chance(c, 16) ?
	    FRAME_NAME_MAX + 1 : 24);

	memset(name, 'N', sizeof(name));
	(void)frame_put_open(w, id, name, len);
}

/* Frames that honest peers send often. */
static void put_usual(struct forge *f, struct choices *c, struct wire_out *w,
    uint8_t kind)
{
	uint64_t id;

	switch (kind) {
	case 0:
		put_open(c, w);
		break;
	case 1:
		put_ack(f, c, w);
		break;
	case 2:
		id = choose_stream(c);
		(void)frame_put_window(w, id, choose_number(c));
		break;
	case 3:
		put_data(f, c, w, true);
		break;
	default:
		put_data(f, c, w, false);
		break;
	}
}

static void put_late_exchange(struct choices *c, struct wire_out *w)
{
	uint64_t lane = choose_below(c, SESSION_LANES + 8);

	(void)frame_put_exchange(w, lane, choose_number(c), 1000, 1);
}

/* And those that they send rarely or never, or not here. */
static void put_odd(struct forge *f, struct choices *c, struct wire_out *w)
{
	uint64_t a, b;

	switch (choose_below(c, 9)) {
	case 0:
	case 1:
		a = choose_stream(c);
		(void)frame_put_reset(w, a, choose_number(c));
		break;
	case 2:
		(void)frame_put_ping(w, choose_number(c));
		break;
	case 3:
		(void)frame_put_pong(w, choose_below(c, 6));
		break;
	case 4:
		a = choose_below(c, SESSION_LANES + 8);
		b = choose_number(c);
		(void)frame_put_end(w, a, b, choose_number(c));
		break;
	case 5:
		(void)frame_put_padding(w, (size_t)choose_below(c, 300));
		break;
	case 6:
		if (choose_chance(c, 32))
			put_raw(f, c, w);
		break;
	case 7:
		if (choose_chance(c, 32))
			(void)frame_put_close(w, choose_number(c), "enough");
		break;
	default:
		if (choose_chance(c, 16))
			put_late_exchange(c, w);
		break;
	}
}

static void put_exchange(struct choices *c, struct wire_out *w,
    const struct forge_exchange *x)
{
	uint64_t hold_ms = choose_chance(c, 16) ? choose_number(c) :
	    choose_below(c, 4) * 5000;
	uint64_t keep = choose_chance(c, 16) ? choose_number(c) :
	    choose_below(c, 4);

	if (choose_chance(c, 40) && hold_ms < SESSION_LASTING)
		hold_ms += SESSION_LASTING;
	(void)frame_put_exchange(w, x->lane, x->exchange, hold_ms, keep);
}

size_t forge_record(struct forge *f, struct choices *c,
    const struct forge_exchange *x, uint8_t *out)
{
	uint8_t plain[RECORD_PLAIN_MAX];
	struct wire_out w = { plain, sizeof(plain) - TAIL };
	size_t frames = (size_t)choose_below(c, FRAMES_MAX), len;
	uint64_t number;

	if (x->begin)
		put_exchange(c, &w, x);
	for (; frames > 0; frames--) {
		uint8_t kind = choose_byte(c) % 10;

		if (kind < 8)
			put_usual(f, c, &w, kind);
		else
			put_odd(f, c, &w);
	}
	w.left += TAIL;
	if (x->end)
		(void)frame_put_end(&w, x->lane, x->exchange,
		    choose_below(c, 2) * 1000);
	if (w.p == plain)
		(void)frame_put_padding(&w, 1);
	/* Elsewhere, used or not; a key cannot be moved back by an epoch. */
	if (choose_chance(c, 4)) {
		f->epoch += choose_below(c, 3);
		record_key_set_next(f->seal, f->epoch << RECORD_EPOCH_BITS |
		    choose_below(c, 5000));
	}
	if (record_seal(f->seal, plain, (size_t)(w.p - plain), out, &len,
	    &number) != 0)
		return 0;		/* the numbers are used up */
	return len;
}

/* ---- what is heard ---------------------------------------------------- */

static void check_data(const struct frame *f)
{
	for (size_t i = 0; i < f->u.data.len; i++)
		forge_must(f->u.data.data[i] == forge_pattern(
		    f->u.data.stream, f->u.data.offset + i));
}

static void hear_frames(const uint8_t *plain, size_t len,
    struct forge_heard *first)
{
	struct wire_in in = { plain, len };
	struct frame f;
	int rc;

	while ((rc = frame_decode(&in, &f)) == 0) {
		if (f.type == FRAME_DATA)
			check_data(&f);
		if (f.type != FRAME_EXCHANGE)
			continue;
		first->has_exchange = true;
		first->lane = f.u.exchange.lane;
		first->exchange = f.u.exchange.exchange;
	}
	forge_must(rc == ERR_MORE);
}

void forge_hear(struct forge *f, const uint8_t *data, size_t len,
    struct forge_heard *first)
{
	uint8_t plain[RECORD_PLAIN_MAX];
	size_t whole, plain_len;

	*first = (struct forge_heard){ 0 };
	for (; len > 0; data += whole, len -= whole) {
		forge_must(record_peek(data, len, &whole) == 0);
		forge_must(whole <= len);
		/* Of the keys from before, which are kept no longer here. */
		if (f->open == NULL ||
		    record_number_generation(record_number(data)) !=
		    record_key_generation(f->open))
			continue;
		forge_must(record_open(f->open, data, whole, plain,
		    &plain_len) == 0);
		if (!f->heard_any || record_number(data) > f->heard)
			f->heard = record_number(data);
		f->heard_any = true;
		hear_frames(plain, plain_len, first);
	}
}
