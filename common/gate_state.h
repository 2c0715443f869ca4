/*
 * All sessions of a gateway as bytes, for another program that goes on with
 * them. Exchanges are not among it: they have ended, or were cut, and clients
 * repeat them. What a lane has begun is, so that the lane rule goes on to
 * hold. Sessions that have ended are left out. The format is common/state.h's.
 */
#ifndef COMMON_GATE_STATE_H
#define COMMON_GATE_STATE_H

#include <stdint.h>

#include "common/gate.h"
#include "common/state.h"

/* A section STATE_GATE, and a section STATE_SESSION for each session. */
void gate_export(const struct gate *g, struct state_out *o);

/*
 * Take what is in the body of such a section into a gate that has just been
 * made; on_session is called for the sessions that were confirmed, and for the
 * others when they are, with NULL as the device. On failure
 * the gate is fit only to be freed. 0, ERR_PROTO, ERR_NOMEM or ERR_CRYPTO.
 */
int gate_import(struct gate *g, enum state_type type, struct state_in *body);

/* The gateway's own key: it goes along, as only root may be able to read it. */
const struct noise_keys *gate_keys(const struct gate *g);

/* The session with this id, or NULL. */
struct gate_session *gate_session_find(struct gate *g,
    const uint8_t id[RECORD_ID_LEN]);

/* session_all_taken of all of them. */
bool gate_all_taken(const struct gate *g);

/* Nobody has gone on with the state: session_skip_numbers for all of them. */
void gate_skip_numbers(struct gate *g);

#endif
