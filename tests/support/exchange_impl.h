/*
 * What the two halves of an exchange share: exchange.c has the request,
 * exchange_response.c the response.
 */
#ifndef TESTS_SUPPORT_EXCHANGE_IMPL_H
#define TESTS_SUPPORT_EXCHANGE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#include "tests/support/conn.h"
#include "tests/support/exchange.h"
#include "tests/support/http.h"
#include "tests/support/plan.h"
#include "tests/support/way.h"

struct exchange {
	struct mischief *m;
	struct visit *visit;	/* NULL: freed, waits for its handles */
	struct plan plan;
	struct way request, response;
	uv_timer_t timer;	/* of the exchange as a whole */
	unsigned handles;
	uint64_t wanted;	/* of the request's body, from the client */
	uint64_t keep;		/* of its bytes, before the rest is dropped */
	bool started;		/* the request goes on, or is refused */
	bool close, idle_early;	/* the client's connection, afterwards */

	struct conn *gateway;
	struct sockaddr_storage space;
	uint8_t head[HTTP_HEAD_MAX];	/* of the response */
	size_t head_len;
	bool answered;		/* its head is over */
	bool complete;		/* nothing of it will come any more */
	struct http_body body;
	uint64_t body_left;	/* before it is truncated */
	uint8_t *copy;		/* of what the client got */
	size_t copy_len;
};

/* Is this to be done? Then it is counted. */
bool exchange_has_quirk(struct exchange *x, enum quirk quirk);

/* The lines of a head that are passed on: all, or what HTTP must have. */
void exchange_copy_lines(struct way *w, const char *head, size_t head_len,
    bool strip);

/* All of the request has come from the client. */
bool exchange_is_whole(const struct exchange *x);

/* Cut both connections: the fault of the plan. Frees x. */
void exchange_cut(struct exchange *x, uint64_t at);

/* An answer of the proxy's own; status is "502 Bad Gateway". May free x. */
void exchange_answer(struct exchange *x, const char *status,
    const char *text);

/* Nothing of the response goes on for so long. */
void exchange_hold_response(struct exchange *x, uint64_t ms);

/* Pass on what waits of the response, as far as it may. May free x. */
void exchange_pump_response(struct exchange *x);

extern const struct conn_ops exchange_gateway_ops;

#endif
