/*
 * The state of a running gateway as bytes, for the program that goes on with
 * it after an upgrade: what it is wrapped in, and what its numbers look like.
 * Knows neither sessions nor sockets; those write their own sections
 * (session_state.h, gate_state.h, server/router.h, server/listen.h).
 *
 *	magic (8)		"NRPCGATE"
 *	version (2)		STATE_VERSION
 *	sections		each of them:
 *	    type (1)		enum state_type
 *	    length (8)		of the body
 *	    body
 *	    check (8)		SHA-256 over type, length and body, its beginning
 *	the last section	STATE_END, body: how many came before it
 *
 * Numbers in a body are the variable-length integers of wire.h, or 8 bytes
 * where a value of 2^62 and above can occur. Points in time are written as ages
 * in milliseconds. Nothing is read before all of the wrapping has been
 * checked, and every value is checked again where it would be believed: a state
 * comes from another version of this program.
 *
 * A program reads versions STATE_VERSION_LEAST to STATE_VERSION and writes the
 * last. What a later version adds to a section goes to its end, is written
 * under a new version, and is read only where state_in.version says that it is
 * there. A field is never given another meaning.
 */
#ifndef COMMON_STATE_H
#define COMMON_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ranges.h"
#include "common/wire.h"

#define STATE_VERSION 1u
#define STATE_VERSION_LEAST 1u
#define STATE_WHY_MAX 128u	/* bytes of a sentence's end, with NUL */

enum state_type {
	STATE_END = 0,
	STATE_KEY = 1,		/* the gateway's own */
	STATE_LISTEN = 2,	/* one listening socket */
	STATE_GATE = 3,		/* counters */
	STATE_SESSION = 4,	/* one session with its streams */
	STATE_ROUTE = 5		/* one stream's way to Domino */
};

/* ---- writing ---------------------------------------------------------- */

/*
 * Sections are put together in memory, one at a time, and handed to sink. An
 * error, of sink too, stays: only state_finish tells.
 */
struct state_out {
	int (*sink)(void *ctx, const void *data, size_t len);	/* 0 or ERR_* */
	void *ctx;
	uint64_t now_ms;	/* for ages */
	uint64_t bytes;		/* handed to sink so far */
	uint8_t *mem;		/* private: the section, with secrets */
	size_t len, size;	/* private */
	unsigned count;		/* private: sections so far */
	int rc;			/* private */
};

void state_begin(struct state_out *o,
    int (*sink)(void *ctx, const void *data, size_t len), void *ctx,
    uint64_t now_ms);
void state_section(struct state_out *o, enum state_type type);
void state_section_end(struct state_out *o);

/* 0, or what went wrong first. The memory is wiped and freed in any case. */
int state_finish(struct state_out *o);

void state_put(struct state_out *o, uint64_t v);	/* < 2^62 */
void state_put_u64(struct state_out *o, uint64_t v);	/* anything */
void state_put_bool(struct state_out *o, bool v);
void state_put_age(struct state_out *o, uint64_t at_ms);
void state_put_raw(struct state_out *o, const void *data, size_t len);
void state_put_bytes(struct state_out *o, const void *data, size_t len);
void state_put_text(struct state_out *o, const char *text);	/* or NULL */
void state_put_ranges(struct state_out *o, const struct ranges *r);

/* Room for len bytes to be written now by the caller; NULL after an error. */
uint8_t *state_put_room(struct state_out *o, size_t len);

/* ---- reading ---------------------------------------------------------- */

/*
 * The whole state, or the body of one section. After an error (`bad`) all
 * reads give 0 or nothing: it is enough to look at the end.
 */
struct state_in {
	unsigned version;
	uint64_t now_ms;
	struct wire_in in;	/* private */
	bool bad;
};

/*
 * Check the wrapping of all of it. 0; ERR_PROTO and, for people, what is wrong
 * with it. The bytes are borrowed by what is read from it.
 */
int state_open(struct state_in *s, const void *data, size_t len,
    uint64_t now_ms, char why[STATE_WHY_MAX]);

/* The next section's type and body; false when there is none. */
bool state_next(struct state_in *s, enum state_type *type,
    struct state_in *body);

uint64_t state_get(struct state_in *s, uint64_t max);	/* at most max */
uint64_t state_get_u64(struct state_in *s);
bool state_get_bool(struct state_in *s);
uint64_t state_get_at(struct state_in *s);	/* an age, as a point in time */
void state_get_raw(struct state_in *s, void *out, size_t len);

/* Borrowed; NULL after an error. */
const uint8_t *state_get_bytes(struct state_in *s, size_t max, size_t *len);
const uint8_t *state_get_run(struct state_in *s, uint64_t len);

/* Copied, with NUL, of a field that has room for max + 1 bytes. */
void state_get_text(struct state_in *s, char *out, size_t max);

/* Into an empty set; all of them lie in [from, to). */
void state_get_ranges(struct state_in *s, struct ranges *out, uint64_t from,
    uint64_t to);

/* What is read next must be false, or the state is bad. */
void state_refuse_if(struct state_in *s, bool wrong);

/* 0; ERR_PROTO when something was bad, or bytes are left over. */
int state_done(const struct state_in *s);

#endif
