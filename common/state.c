#include "config.h"

#include "common/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/err.h"

#define MAGIC "NRPCGATE"
#define MAGIC_LEN 8u
#define HEAD_LEN (MAGIC_LEN + 2u)
#define SECTION_HEAD 9u
#define CHECK_LEN 8u
#define SIZE_FIRST 65536u	/* bytes of the first allocation */
/* One session at its limits, which are a few GiB. */
#define SECTION_MAX ((size_t)1 << 34)

/* ---- writing ---------------------------------------------------------- */

static void give(struct state_out *o, const void *data, size_t len)
{
	if (o->rc == 0)
		o->rc = o->sink(o->ctx, data, len);
	o->bytes += len;
}

void state_begin(struct state_out *o,
    int (*sink)(void *ctx, const void *data, size_t len), void *ctx,
    uint64_t now_ms)
{
	uint8_t head[HEAD_LEN];

	*o = (struct state_out){ .sink = sink, .ctx = ctx, .now_ms = now_ms };
	memcpy(head, MAGIC, MAGIC_LEN);
	wire_store_u16(head + MAGIC_LEN, STATE_VERSION);
	give(o, head, sizeof(head));
}

static void drop(struct state_out *o)
{
	if (o->mem != NULL)
		crypto_wipe(o->mem, o->len);
	free(o->mem);
	o->mem = NULL;
	o->len = o->size = 0;
}

/* Not by realloc, which would leave keys behind. */
static int grow(struct state_out *o, size_t need)
{
	size_t size = need < SIZE_FIRST ? SIZE_FIRST : 2 * need;
	size_t len = o->len;
	uint8_t *mem = malloc(size);

	if (mem == NULL)
		return ERR_NOMEM;
	if (len > 0)
		memcpy(mem, o->mem, len);
	drop(o);
	o->mem = mem;
	o->len = len;
	o->size = size;
	return 0;
}

uint8_t *state_put_room(struct state_out *o, size_t len)
{
	if (o->rc == 0 && len > SECTION_MAX - o->len)
		o->rc = ERR_LIMIT;
	if (o->rc == 0 && (o->mem == NULL || len > o->size - o->len))
		o->rc = grow(o, o->len + len);
	if (o->rc != 0)
		return NULL;
	o->len += len;
	return o->mem + o->len - len;
}

void state_section(struct state_out *o, enum state_type type)
{
	uint8_t *head = state_put_room(o, SECTION_HEAD);

	if (head == NULL)
		return;
	memset(head, 0, SECTION_HEAD);
	head[0] = (uint8_t)type;
}

void state_section_end(struct state_out *o)
{
	uint8_t check[CRYPTO_KEY_LEN];

	if (o->rc != 0)
		return;
	wire_store_u64(o->mem + 1, o->len - SECTION_HEAD);
	crypto_sha256(check, o->mem, o->len, NULL, 0);
	give(o, o->mem, o->len);
	give(o, check, CHECK_LEN);
	crypto_wipe(o->mem, o->len);
	o->len = 0;
	o->count++;
}

int state_finish(struct state_out *o)
{
	unsigned count = o->count;

	state_section(o, STATE_END);
	state_put(o, count);
	state_section_end(o);
	drop(o);
	return o->rc;
}

void state_put(struct state_out *o, uint64_t v)
{
	struct wire_out w = { NULL, WIRE_VARINT_LEN_MAX };

	if (v > WIRE_VARINT_MAX && o->rc == 0)
		o->rc = ERR_LIMIT;
	w.p = state_put_room(o, wire_varint_len(v));
	if (w.p != NULL)
		(void)wire_put_varint(&w, v);	/* it was looked at */
}

void state_put_u64(struct state_out *o, uint64_t v)
{
	uint8_t *p = state_put_room(o, 8);

	if (p != NULL)
		wire_store_u64(p, v);
}

void state_put_bool(struct state_out *o, bool v)
{
	state_put(o, v ? 1 : 0);
}

void state_put_age(struct state_out *o, uint64_t at_ms)
{
	state_put(o, at_ms < o->now_ms ? o->now_ms - at_ms : 0);
}

void state_put_raw(struct state_out *o, const void *data, size_t len)
{
	uint8_t *p = state_put_room(o, len);

	if (p != NULL && len > 0)
		memcpy(p, data, len);
}

void state_put_bytes(struct state_out *o, const void *data, size_t len)
{
	state_put(o, len);
	state_put_raw(o, data, len);
}

void state_put_text(struct state_out *o, const char *text)
{
	state_put_bytes(o, text, text != NULL ? strlen(text) : 0);
}

void state_put_ranges(struct state_out *o, const struct ranges *r)
{
	state_put(o, r->count);
	for (size_t i = 0; i < r->count; i++) {
		state_put(o, r->r[i].from);
		state_put(o, r->r[i].to - r->r[i].from);
	}
}

/* ---- reading ---------------------------------------------------------- */

static int fail(char why[STATE_WHY_MAX], const char *what)
{
	snprintf(why, STATE_WHY_MAX, "%s", what);
	return ERR_PROTO;
}

/* One section, which is stepped over; true if it is as long as it says. */
static bool take_section(struct wire_in *in, enum state_type *type,
    struct wire_in *body, const uint8_t **check)
{
	uint64_t len;
	uint8_t t;

	if (wire_get_u8(in, &t) != 0 || wire_get_u64(in, &len) != 0 ||
	    len > in->left)
		return false;
	*type = (enum state_type)t;
	body->left = (size_t)len;
	return wire_get_bytes(in, body->left, &body->p) == 0 &&
	    wire_get_bytes(in, CHECK_LEN, check) == 0;
}

static bool is_sound(const struct wire_in *body, const uint8_t *check)
{
	uint8_t digest[CRYPTO_KEY_LEN];

	crypto_sha256(digest, body->p - SECTION_HEAD,
	    SECTION_HEAD + body->left, NULL, 0);
	return memcmp(digest, check, CHECK_LEN) == 0;
}

/* All sections are whole, and the last one says that they are all. */
static bool check_sections(struct wire_in in)
{
	uint64_t count = 0, said;
	const uint8_t *check;
	enum state_type type;
	struct wire_in body;

	do {
		if (!take_section(&in, &type, &body, &check) ||
		    !is_sound(&body, check))
			return false;
		count++;
	} while (type != STATE_END);
	return in.left == 0 && wire_get_varint(&body, &said) == 0 &&
	    said == count - 1;
}

int state_open(struct state_in *s, const void *data, size_t len,
    uint64_t now_ms, char why[STATE_WHY_MAX])
{
	struct wire_in in = { data, len };
	const uint8_t *magic;
	uint16_t version;

	if (wire_get_bytes(&in, MAGIC_LEN, &magic) != 0 ||
	    wire_get_u16(&in, &version) != 0 ||
	    memcmp(magic, MAGIC, MAGIC_LEN) != 0)
		return fail(why, "this is no state of a gateway");
	if (version < STATE_VERSION_LEAST || version > STATE_VERSION) {
		snprintf(why, STATE_WHY_MAX, "the state has version %u, this "
		    "program reads %u to %u", version, STATE_VERSION_LEAST,
		    STATE_VERSION);
		return ERR_PROTO;
	}
	if (!check_sections(in))
		return fail(why, "the state is damaged");
	*s = (struct state_in){ .version = version, .now_ms = now_ms,
	    .in = in };
	return 0;
}

bool state_next(struct state_in *s, enum state_type *type,
    struct state_in *body)
{
	const uint8_t *check;

	*body = *s;
	return take_section(&s->in, type, &body->in, &check) &&
	    *type != STATE_END;
}

void state_refuse_if(struct state_in *s, bool wrong)
{
	if (wrong)
		s->bad = true;
}

uint64_t state_get(struct state_in *s, uint64_t max)
{
	uint64_t v = 0;

	if (!s->bad && (wire_get_varint(&s->in, &v) != 0 || v > max))
		s->bad = true;
	return s->bad ? 0 : v;
}

uint64_t state_get_u64(struct state_in *s)
{
	uint64_t v = 0;

	if (!s->bad && wire_get_u64(&s->in, &v) != 0)
		s->bad = true;
	return v;
}

bool state_get_bool(struct state_in *s)
{
	return state_get(s, 1) == 1;
}

uint64_t state_get_at(struct state_in *s)
{
	uint64_t age = state_get(s, WIRE_VARINT_MAX);

	return age < s->now_ms ? s->now_ms - age : 0;
}

const uint8_t *state_get_run(struct state_in *s, uint64_t len)
{
	const uint8_t *p = NULL;

	if (s->bad || len > s->in.left ||
	    wire_get_bytes(&s->in, (size_t)len, &p) != 0)
		s->bad = true;
	return s->bad ? NULL : p;
}

void state_get_raw(struct state_in *s, void *out, size_t len)
{
	const uint8_t *p = state_get_run(s, len);

	if (p != NULL)
		memcpy(out, p, len);
	else
		memset(out, 0, len);
}

const uint8_t *state_get_bytes(struct state_in *s, size_t max, size_t *len)
{
	*len = (size_t)state_get(s, max);
	return state_get_run(s, *len);
}

void state_get_text(struct state_in *s, char *out, size_t max)
{
	size_t len;
	const uint8_t *p = state_get_bytes(s, max, &len);

	if (p == NULL || memchr(p, '\0', len) != NULL) {
		s->bad = true;
		len = 0;
	}
	if (len > 0)
		memcpy(out, p, len);
	out[len] = '\0';
}

void state_get_ranges(struct state_in *s, struct ranges *out, uint64_t from,
    uint64_t to)
{
	uint64_t count = state_get(s, out->max);

	for (uint64_t i = 0; i < count && !s->bad; i++) {
		uint64_t at = state_get(s, WIRE_VARINT_MAX);
		uint64_t len = state_get(s, WIRE_VARINT_MAX);

		/* Ascending, and with a gap between one and the next. */
		state_refuse_if(s, at < from || len == 0 || at > to ||
		    len > to - at || (out->count > 0 &&
		    at <= out->r[out->count - 1].to));
		if (!s->bad && ranges_add(out, at, at + len) != 0)
			s->bad = true;
	}
}

int state_done(const struct state_in *s)
{
	return s->bad || s->in.left > 0 ? ERR_PROTO : 0;
}
