/*
 * What the parts of the misbehaving proxy share.
 */
#ifndef TESTS_SUPPORT_MISCHIEF_H
#define TESTS_SUPPORT_MISCHIEF_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "tests/support/http.h"
#include "tests/support/plan.h"

#define MISCHIEF_BODY_MAX (1u << 20)	/* of a request; kept as a whole */
#define MISCHIEF_REQUEST_MAX (HTTP_HEAD_MAX + MISCHIEF_BODY_MAX)
#define MISCHIEF_CLIENTS_MAX 1024u	/* connections of clients at once */
#define MISCHIEF_REPEATS_MAX 64u	/* requests to be repeated, at once */

struct visit;
struct repeat;

struct mischief {
	uv_loop_t loop;
	struct sockaddr_storage gateway;
	struct plans plans;
	uint64_t idle_ms;	/* then a client's connection is closed */
	struct visit *visits;
	struct repeat *repeats;
	unsigned visit_count, repeat_count;
	uint64_t connections, refused, gateway_failures;
};

/* The address that an exchange of this plan comes from; NULL for any. */
const struct sockaddr *mischief_source(struct mischief *m,
    const struct plan *plan, struct sockaddr_storage *space);

#endif
