/*
 * Owners of streams, for fuzzing: they read, write, finish, reset and release
 * as the input says, and check what they are told.
 */
#ifndef TESTS_FUZZ_USERS_H
#define TESTS_FUZZ_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/session.h"
#include "tests/fuzz/choices.h"

#define USERS_MAX 48u

struct users;

struct user {
	struct users *all;
	struct stream *st;	/* NULL: nobody */
	struct session *s;
	uint64_t read, written;
	bool eager;		/* reads, and lets go, within callbacks */
	bool finished;
};

struct users {
	struct user user[USERS_MAX];
	struct choices *in;
	const bool *tainted;	/* what is read may be anything */
};

/* A stream is there: take it, or refuse it. */
void users_take(struct users *u, struct stream *st);

/* One of them does something. */
void users_act(struct users *u);

/* All limits that a session must keep to. */
void users_check(const struct users *u, struct session *s);

/* The session goes without a word to them. */
void users_forget(struct users *u);

#endif
