#include "config.h"

#include "client/carrier_body.h"

#include <stdlib.h>
#include <string.h>

#define SIZE_FIRST 16384u	/* bytes */

void carrier_body_begin(struct carrier_body *b)
{
	b->at = b->len = 0;
	b->finished = false;
}

/* Room behind what is left of it. */
static bool reserve(struct carrier_body *b, size_t len)
{
	size_t left = carrier_body_left(b), size;
	uint8_t *p;

	if (left > 0)
		memmove(b->data, b->data + b->at, left);
	b->at = 0;
	b->len = left;
	if (len <= b->size - left)
		return true;
	size = left + len > SIZE_FIRST ? left + len : SIZE_FIRST;
	p = realloc(b->data, size);
	if (p == NULL)
		return false;
	b->data = p;
	b->size = size;
	return true;
}

void carrier_body_append(struct carrier_body *b, const uint8_t *data,
    size_t len)
{
	if (b->finished || !reserve(b, len)) {
		b->finished = true;
		return;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

size_t carrier_body_take(struct carrier_body *b, void *out, size_t room)
{
	size_t n = carrier_body_left(b);

	if (n > room)
		n = room;
	if (n > 0)
		memcpy(out, b->data + b->at, n);
	b->at += n;
	return n;
}

size_t carrier_body_left(const struct carrier_body *b)
{
	return b->len - b->at;
}

void carrier_body_free(struct carrier_body *b)
{
	free(b->data);
	*b = (struct carrier_body){ .data = NULL };
}
