#include "config.h"

#include "tests/support/tally.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#define LAPS_MAX 16777216u

void tally_lap(struct tally *t, uint64_t ns)
{
	uint32_t *more;
	size_t size;

	if (t->laps == t->laps_size) {
		if (t->laps_size >= LAPS_MAX)
			return;
		size = t->laps_size == 0 ? 1024 : t->laps_size * 2;
		more = realloc(t->laps_us, size * sizeof(*more));
		if (more == NULL)
			return;
		t->laps_us = more;
		t->laps_size = size;
	}
	ns /= 1000;
	t->laps_us[t->laps++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

void tally_reset(struct tally *t, uint64_t ns)
{
	if (t->resets < TALLY_RESETS_MAX)
		t->reset_ms[t->resets] = (double)ns / 1e6;
	t->resets++;
}

void tally_error(struct tally *t, const char *fmt, ...)
{
	va_list args;

	t->failed++;
	if (t->error[0] != '\0')
		return;
	va_start(args, fmt);
	(void)vsnprintf(t->error, sizeof(t->error), fmt, args);
	va_end(args);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The value that `part` of a thousand stay below. */
static uint32_t lap_at(const struct tally *t, unsigned part)
{
	return t->laps_us[(t->laps - 1) * part / 1000];
}

/* Names come from the network, errors from us: both may hold a quote. */
static void print_text(const char *key, const char *text, FILE *to)
{
	fprintf(to, ", \"%s\": \"", key);
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < 0x20 || c > 0x7e)
			fprintf(to, "\\u%04x", c);
		else
			fputc(c, to);
	}
	fputc('"', to);
}

void tally_print(struct tally *t, const char *scenario, bool ok, FILE *to)
{
	double seconds = (double)(t->ended_ns - t->started_ns) / 1e9;
	uint64_t shown = t->resets < TALLY_RESETS_MAX ? t->resets :
	    TALLY_RESETS_MAX;

	fprintf(to, "{\"scenario\": \"%s\", \"ok\": %s, \"seconds\": %.6f, "
	    "\"done\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"bytes_up\": %"
	    PRIu64 ", \"bytes_down\": %" PRIu64, scenario,
	    ok ? "true" : "false", seconds, t->done, t->failed, t->bytes_up,
	    t->bytes_down);
	if (seconds > 0)
		fprintf(to, ", \"mb_per_s\": %.1f",
		    (double)(t->bytes_up + t->bytes_down) / 1e6 / seconds);
	fprintf(to, ", \"resets\": %" PRIu64 ", \"reset_ms\": [", t->resets);
	for (uint64_t i = 0; i < shown; i++)
		fprintf(to, "%s%.1f", i > 0 ? ", " : "", t->reset_ms[i]);
	fputc(']', to);
	if (t->laps > 0) {
		qsort(t->laps_us, t->laps, sizeof(*t->laps_us), compare);
		fprintf(to, ", \"transactions\": %zu, \"p50_us\": %" PRIu32
		    ", \"p99_us\": %" PRIu32 ", \"max_us\": %" PRIu32,
		    t->laps, lap_at(t, 500), lap_at(t, 990),
		    lap_at(t, 1000));
	}
	if (t->name[0] != '\0')
		print_text("name", t->name, to);
	if (t->outcome[0] != '\0') {
		print_text("outcome", t->outcome, to);
		print_text("hex", t->hex, to);
	}
	if (t->error[0] != '\0')
		print_text("error", t->error, to);
	fputs("}\n", to);
	fflush(to);
	free(t->laps_us);
	t->laps_us = NULL;
}
