/*
 * A session as bytes, for another program that goes on with it: keys with
 * their numbers, streams with the bytes in both directions, what arrived, and
 * what is under way and not acknowledged. Left out are the callbacks and whom
 * a stream belongs to; of the congestion window only what the path is like.
 * The format is common/state.h's.
 *
 * A number is never used twice under one key: after session_export the session
 * must not seal until it is certain that no other program goes on with what was
 * exported; then session_skip_numbers, as a second lock to the same door.
 */
#ifndef COMMON_SESSION_STATE_H
#define COMMON_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/session.h"
#include "common/state.h"

/* Append it to the section that has begun. */
void session_export(const struct session *s, struct state_out *o);

/*
 * Make a session of what session_export wrote, with this budget and these
 * pages, as session_config has them; ops->on_wake may be called. Its streams wait for
 * session_take_stream. On failure *out is untouched. 0, ERR_PROTO (no session
 * is ever in such a state), ERR_NOMEM or ERR_CRYPTO.
 */
int session_import(struct session **out, struct state_in *in,
    const uint8_t id[RECORD_ID_LEN], struct budget *budget,
    struct page_pool *pages, const struct session_ops *ops, void *ctx);

/*
 * A stream of an imported session that had an owner and has none yet, or NULL.
 * To be attached, released or reset now.
 */
struct stream *session_take_stream(struct session *s, uint64_t id);

/* Have all streams of an imported session that had an owner got one? */
bool session_all_taken(const struct session *s);

/* Leave out more numbers than another program can have used meanwhile. */
#define SESSION_SKIP 4096u
void session_skip_numbers(struct session *s);

#endif
