/*
 * One request and its response on their way through the misbehaving proxy:
 * what plan.h's plan wants done to them is done here.
 */
#ifndef TESTS_SUPPORT_EXCHANGE_H
#define TESTS_SUPPORT_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

struct exchange;
struct mischief;
struct visit;

/*
 * For a request with this head; exchange_take has to follow, also without
 * bytes. NULL when the head is nonsense or the body too large.
 */
struct exchange *exchange_new(struct mischief *m, struct visit *v,
    const char *head, size_t head_len);

/* Bytes of the body that are still to come. */
size_t exchange_wants(const struct exchange *x);

/* The next len <= exchange_wants bytes. May end the exchange. */
void exchange_take(struct exchange *x, const uint8_t *data, size_t len);

/* The client has taken what was queued for it. */
void exchange_go_on(struct exchange *x);

/* For the visit alone, which owns it. NULL does nothing. */
void exchange_free(struct exchange *x);

#endif
