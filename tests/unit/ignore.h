/*
 * Callbacks that do nothing, for owners of gates, sessions and streams to whom
 * what they tell does not matter.
 */
#ifndef TESTS_UNIT_IGNORE_H
#define TESTS_UNIT_IGNORE_H

#include "common/gate.h"
#include "common/session.h"

/* For gate_ops. */
void ignore_session(void *ctx, struct gate_session *gs, void *device);
void ignore_session_end(void *ctx, struct gate_session *gs,
    const char *why);
void ignore_note(void *ctx, const char *line);

/* on_wake, and on_ready of an exchange. */
void ignore_wake(void *ctx);

/* For session_ops. */
void ignore_open(void *ctx, struct stream *st, const char *name,
    size_t name_len);
void ignore_close(void *ctx, uint64_t code, const char *text);

/* For stream_ops; ignore_data is an on_data that reads all there is. */
void ignore_data(void *user, struct stream *st);
void ignore_stream(void *user, struct stream *st);
void ignore_reset(void *user, struct stream *st, uint64_t code);

#endif
