/*
 * A request body that goes on: what libcurl has not taken of it yet. Part of
 * the carrier; pure.
 */
#ifndef CLIENT_CARRIER_BODY_H
#define CLIENT_CARRIER_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carrier_body {		/* all zero before the first */
	uint8_t *data;
	size_t at, len, size;	/* bytes, from the start of data */
	bool finished;		/* nothing follows these */
};

/* A new one, empty. */
void carrier_body_begin(struct carrier_body *b);

/* Copies it. Without memory for it the body ends here. */
void carrier_body_append(struct carrier_body *b, const uint8_t *data,
    size_t len);

/* Takes at most so many bytes. Returns how many there were; 0: none now. */
size_t carrier_body_take(struct carrier_body *b, void *out, size_t room);

size_t carrier_body_left(const struct carrier_body *b);

void carrier_body_free(struct carrier_body *b);

#endif
