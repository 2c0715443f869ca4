#include "config.h"

#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/err.h"

#define LINE_MAX_LEN 2048u	/* bytes of a line; longer ones are cut */
#define PREFIX_MAX 48u		/* bytes before it */

static const char *const level_name[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug"
};

/* The same in syslog's numbers (sd-daemon(3)). */
static const int level_number[] = {
	[LOG_ERROR] = 3,
	[LOG_WARN] = 4,
	[LOG_INFO] = 6,
	[LOG_DEBUG] = 7
};

static enum log_level threshold = LOG_INFO;
static void (*sink)(void *ctx, enum log_level level, const char *line);
static void *sink_ctx;

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_get_level(void)
{
	return threshold;
}

int log_level_parse(const char *name, enum log_level *out)
{
	for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
		if (strcmp(name, level_name[i]) != 0)
			continue;
		*out = (enum log_level)i;
		return 0;
	}
	return ERR_CONFIG;
}

void log_set_sink(void (*fn)(void *ctx, enum log_level level,
    const char *line), void *ctx)
{
	sink = fn;
	sink_ctx = ctx;
}

/* What stands before a line on standard error. */
static void put_prefix(char out[PREFIX_MAX], enum log_level level)
{
	struct timespec now;
	struct tm tm;
	char date[24];

	if (getenv("JOURNAL_STREAM") != NULL) {
		(void)snprintf(out, PREFIX_MAX, "<%d>", level_number[level]);
		return;
	}
	if (timespec_get(&now, TIME_UTC) == 0 ||
	    gmtime_r(&now.tv_sec, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		(void)snprintf(out, PREFIX_MAX, "%s ", level_name[level]);
		return;
	}
	(void)snprintf(out, PREFIX_MAX, "%s.%03ldZ %s ", date,
	    now.tv_nsec / 1000000, level_name[level]);
}

/* One call of fwrite, so that lines of several processes do not mix. */
static void put_stderr(enum log_level level, const char *line)
{
	char prefix[PREFIX_MAX], whole[PREFIX_MAX + LINE_MAX_LEN + 1];
	int len;

	put_prefix(prefix, level);
	len = snprintf(whole, sizeof(whole), "%s%s\n", prefix, line);
	/* There is nobody left to tell when standard error is closed. */
	(void)fwrite(whole, 1, (size_t)len, stderr);
}

static void put(enum log_level level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void put(enum log_level level, const char *fmt, va_list ap)
{
	char line[LINE_MAX_LEN];

	if (level > threshold)
		return;
	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		return;
	/* Whatever a caller forgot to clean must not forge a second line. */
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (sink != NULL)
		sink(sink_ctx, level, line);
	else
		put_stderr(level, line);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(LOG_ERROR, fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(LOG_WARN, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(LOG_INFO, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put(LOG_DEBUG, fmt, ap);
	va_end(ap);
}

/* Write one byte as it may stand in a line; returns 1 or 4. */
static size_t clean_byte(char out[4], unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	out[0] = (char)c;
	if (c >= 0x21 && c <= 0x7e && c != '"' && c != '\\')
		return 1;
	out[0] = '\\';
	out[1] = 'x';
	out[2] = hex[c >> 4];
	out[3] = hex[c & 15];
	return 4;
}

const char *log_clean(char *out, size_t out_len, const void *text, size_t len)
{
	static const char mark[] = "...";
	const unsigned char *in = text;
	size_t used = 0, safe = 0;	/* safe: the mark would fit behind it */

	if (out_len == 0)
		return out;
	for (size_t i = 0; i < len; i++) {
		char c[4];
		size_t n = clean_byte(c, in[i]);

		if (n > out_len - 1 - used) {
			n = out_len - 1 - safe;
			if (n > sizeof(mark) - 1)
				n = sizeof(mark) - 1;
			memcpy(out + safe, mark, n);
			used = safe + n;
			break;
		}
		memcpy(out + used, c, n);
		used += n;
		if (out_len - 1 - used >= sizeof(mark) - 1)
			safe = used;
	}
	out[used] = '\0';
	return out;
}

bool log_allow(struct log_limit *l, uint64_t now_ms, unsigned burst,
    uint64_t per_ms, unsigned *suppressed)
{
	l->asked++;
	if (l->used == 0 || now_ms - l->window_start_ms >= per_ms) {
		l->window_start_ms = now_ms;
		l->used = 0;
	}
	if (l->used >= burst) {
		l->suppressed++;
		return false;
	}
	l->used++;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}
