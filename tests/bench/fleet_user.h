/*
 * One user of a fleet: a tunnel of its own, with its own session, and one
 * Notes connection through it that makes one transaction after the other.
 * Compares every byte that comes back. Knows nothing of the other users.
 */
#ifndef TESTS_BENCH_FLEET_USER_H
#define TESTS_BENCH_FLEET_USER_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "common/keyfile.h"

struct setup;
struct user;

struct user_load {
	uint64_t up, down;	/* bytes of a transaction */
	uint64_t pause_us;	/* from one beginning to the next; 0: none */
};

struct user_ops {
	/* The first transaction is done; nothing follows before user_go. */
	void (*on_ready)(void *ctx, struct user *u);
	/* Another one is done; it took that long. */
	void (*on_done)(void *ctx, struct user *u, uint64_t us);
	/* One was due while the one before it was under way. */
	void (*on_missed)(void *ctx, struct user *u);
	/* The connection has broken, or bytes are wrong. Nothing follows. */
	void (*on_failed)(void *ctx, struct user *u, const char *why);
	/* user_stop is done; user_free is called next. */
	void (*on_stopped)(void *ctx, struct user *u);
};

/*
 * Start the tunnel. setup, device and load are borrowed. 0, or an ERR_* after
 * a message on standard error.
 */
int user_new(struct user **out, uv_loop_t *loop, const struct setup *setup,
    const struct noise_keys *device, const struct user_load *load,
    uint64_t seed, const struct user_ops *ops, void *ctx);

/* Is the tunnel up and nothing connected yet? Then connect. */
void user_poll(struct user *u);

/* Close the connection and keep the session, until user_go connects again. */
void user_rest(struct user *u);

/* Begin with transactions, the first one in so many microseconds. */
void user_go(struct user *u, uint64_t phase_us);

/* Say goodbye: on_stopped within two seconds. */
void user_stop(struct user *u);
void user_free(struct user *u);

uint64_t fleet_now_us(void);

#endif
