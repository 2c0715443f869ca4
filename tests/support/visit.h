/*
 * One connection of a client with the misbehaving proxy: requests one after
 * the other, each handed to an exchange.
 */
#ifndef TESTS_SUPPORT_VISIT_H
#define TESTS_SUPPORT_VISIT_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

struct mischief;
struct visit;

void visit_accept(struct mischief *m, uv_stream_t *listener);

/* ---- for the exchange that is under way ------------------------------- */

void visit_send(struct visit *v, const void *data, size_t len);

size_t visit_queued(const struct visit *v);

/* The exchange is over. The next request comes, or the connection ends. */
void visit_done(struct visit *v, bool close, bool idle_early);

/* The end of connection and exchange. */
void visit_cut(struct visit *v, bool reset);

/* ---- */

void visit_cut_all(struct mischief *m);

#endif
