#include "config.h"

#include "tests/unit/ignore.h"

void ignore_session(void *ctx, struct gate_session *gs, void *device)
{
	(void)ctx;
	(void)gs;
	(void)device;
}

void ignore_session_end(void *ctx, struct gate_session *gs, const char *why)
{
	(void)ctx;
	(void)gs;
	(void)why;
}

void ignore_note(void *ctx, const char *line)
{
	(void)ctx;
	(void)line;
}

void ignore_wake(void *ctx)
{
	(void)ctx;
}

void ignore_open(void *ctx, struct stream *st, const char *name,
    size_t name_len)
{
	(void)ctx;
	(void)st;
	(void)name;
	(void)name_len;
}

void ignore_close(void *ctx, uint64_t code, const char *text)
{
	(void)ctx;
	(void)code;
	(void)text;
}

void ignore_data(void *user, struct stream *st)
{
	const uint8_t *p;
	size_t n;

	(void)user;
	while ((n = stream_peek(st, &p)) > 0)
		stream_consume(st, n);
}

void ignore_stream(void *user, struct stream *st)
{
	(void)user;
	(void)st;
}

void ignore_reset(void *user, struct stream *st, uint64_t code)
{
	(void)user;
	(void)st;
	(void)code;
}
