/*
 * What a run of the guest has measured, and its one line of JSON.
 */
#ifndef TESTS_SUPPORT_TALLY_H
#define TESTS_SUPPORT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TALLY_RESETS_MAX 32u	/* moments that are told; all are counted */

struct tally {
	uint64_t started_ns, ended_ns;
	uint64_t bytes_up, bytes_down;
	uint64_t done, failed;		/* connections */
	uint64_t resets;
	double reset_ms[TALLY_RESETS_MAX];
	uint32_t *laps_us;		/* of each transaction */
	size_t laps, laps_size;
	char name[256];			/* the server's, for probe */
	char error[256];		/* the first one */
	char outcome[16];		/* for raw: eof, reset, timeout */
	char hex[2049];			/* for raw: what came back */
};

/* One transaction took that long. */
void tally_lap(struct tally *t, uint64_t ns);

/* A connection was reset, that long after what should bring it about. */
void tally_reset(struct tally *t, uint64_t ns);

/* Remember the first complaint. */
void tally_error(struct tally *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Write the line; sorts the laps. */
void tally_print(struct tally *t, const char *scenario, bool ok, FILE *to);

#endif
