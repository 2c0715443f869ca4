/*
 * A request that the gateway gets a second time, sooner or later, by a
 * connection of its own; what it answers is thrown away.
 */
#ifndef TESTS_SUPPORT_REPEAT_H
#define TESTS_SUPPORT_REPEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mischief;
struct plan;

/* False when there are too many already: nothing will happen. */
bool repeat_start(struct mischief *m, const struct plan *plan,
    const uint8_t *request, size_t len, uint64_t wait_ms);

void repeat_end_all(struct mischief *m);

#endif
