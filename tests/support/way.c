#include "config.h"

#include "tests/support/way.h"

#include <stdlib.h>
#include <string.h>

void way_add(struct way *w, const void *data, size_t len)
{
	if (len == 0)
		return;
	if (w->start == w->len)
		w->start = w->len = 0;
	if (len > w->size - w->len) {
		w->size = (w->len + len) * 2;
		w->bytes = realloc(w->bytes, w->size);
		if (w->bytes == NULL)
			abort();
	}
	memcpy(w->bytes + w->len, data, len);
	w->len += len;
}

void way_add_text(struct way *w, const char *text)
{
	way_add(w, text, strlen(text));
}

size_t way_waiting(const struct way *w)
{
	return w->len - w->start;
}

size_t way_passable(const struct way *w)
{
	size_t n = way_waiting(w);

	if (w->shut)
		return 0;
	return w->stop - w->done < n ? (size_t)(w->stop - w->done) : n;
}

void way_passed(struct way *w, size_t n)
{
	w->start += n;
	w->done += n;
}

void way_shut(struct way *w, uv_timer_cb then, uint64_t ms)
{
	w->shut = true;
	uv_timer_start(&w->timer, then, ms, 0);
}
