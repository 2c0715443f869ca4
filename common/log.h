/*
 * Log lines: "event key=value ...", one line each, to standard error (where
 * systemd's journal takes them; a "<N>" syslog prefix is written when
 * JOURNAL_STREAM is set, a UTC time stamp otherwise).
 *
 * error: someone must act. warn: service degraded. info: the life of sessions
 * and of the daemon. debug: state changes. Nothing secret at any level.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The least important level that is written; LOG_INFO at the start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "error", "warn", "info", "debug" to a level. 0 or ERR_CONFIG. */
int log_level_parse(const char *name, enum log_level *out);

/*
 * Hand lines (without newline) to fn instead of standard error; NULL goes
 * back. For tests.
 */
void log_set_sink(void (*fn)(void *ctx, enum log_level level,
    const char *line), void *ctx);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Make foreign text fit to stand in a log line: every byte outside 0x21..0x7e,
 * and '"' and '\', becomes \xNN (a space too, so that the result is one
 * word); cut to what fits, "..." marking it. Returns out.
 */
const char *log_clean(char *out, size_t out_len, const void *text, size_t len);

/*
 * A rate limit for lines that a peer can cause at will: true at most `burst`
 * times per `per_ms`. When it opens again, *suppressed is how many were
 * swallowed since. Zero-initialise; now_ms is monotonic.
 */
struct log_limit {
	uint64_t window_start_ms;
	unsigned used;
	unsigned suppressed;
	uint64_t asked;		/* in all, whatever the answer was */
};
bool log_allow(struct log_limit *l, uint64_t now_ms, unsigned burst,
    uint64_t per_ms, unsigned *suppressed);

#endif
