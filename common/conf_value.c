#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"
#include "common/err.h"

/* A unit behind a number, and what it multiplies by. */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{ "ms", 1 },
	{ "", 1000 },
	{ "s", 1000 },
	{ "min", 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ NULL, 0 }
};

static const struct unit sizes[] = {
	{ "", 1 },
	{ "k", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ NULL, 0 }
};

int conf_bool(const char *value, bool *out, char why[CONF_WHY_MAX])
{
	static const char *const words[][2] = {
		{ "yes", "no" }, { "true", "false" }, { "on", "off" },
		{ "1", "0" }
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int no = 0; no < 2; no++)
			if (strcasecmp(value, words[i][no]) == 0) {
				*out = no == 0;
				return 0;
			}
	snprintf(why, CONF_WHY_MAX, "must be yes or no, not '%s'", value);
	return ERR_CONFIG;
}

/* Digits, to a number and what stands behind it. False: none, or too large. */
static bool read_number(const char *text, uint64_t *out, const char **rest)
{
	uint64_t n = 0;

	if (text[0] < '0' || text[0] > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	*rest = text;
	return true;
}

/* A number with one of these units, blanks between them allowed. */
static bool read_with_unit(const char *text, const struct unit *units,
    uint64_t *out)
{
	const char *rest;
	uint64_t n;

	if (!read_number(text, &n, &rest))
		return false;
	rest += strspn(rest, " \t");
	for (; units->name != NULL; units++) {
		if (strcmp(rest, units->name) != 0)
			continue;
		if (n > UINT64_MAX / units->factor)
			return false;
		*out = n * units->factor;
		return true;
	}
	return false;
}

int conf_uint(const char *value, uint64_t min, uint64_t max, uint64_t *out,
    char why[CONF_WHY_MAX])
{
	const char *rest;
	uint64_t n;

	if (!read_number(value, &n, &rest) || *rest != '\0' || n < min ||
	    n > max) {
		snprintf(why, CONF_WHY_MAX, "must be a number from %" PRIu64
		    " to %" PRIu64 ", not '%s'", min, max, value);
		return ERR_CONFIG;
	}
	*out = n;
	return 0;
}

/* n in the largest unit that leaves no remainder, as people write it. */
static const char *with_unit(char *out, size_t out_len,
    const struct unit *units, uint64_t n)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->name != NULL; u++)
		if (n != 0 && u->factor >= best->factor && n % u->factor == 0)
			best = u;
	snprintf(out, out_len, "%" PRIu64 "%s", n / best->factor, best->name);
	return out;
}

/* Shared by durations and sizes, which differ in their units only. */
static int in_range(const char *value, const struct unit *units,
    const char *example, uint64_t min, uint64_t max, uint64_t *out,
    char why[CONF_WHY_MAX])
{
	char low[32], high[32];
	uint64_t n;

	if (!read_with_unit(value, units, &n)) {
		snprintf(why, CONF_WHY_MAX, "must be like %s, not '%s'",
		    example, value);
		return ERR_CONFIG;
	}
	if (n < min || n > max) {
		snprintf(why, CONF_WHY_MAX, "must be from %s to %s, not '%s'",
		    with_unit(low, sizeof(low), units, min),
		    with_unit(high, sizeof(high), units, max), value);
		return ERR_CONFIG;
	}
	*out = n;
	return 0;
}

int conf_duration(const char *value, uint64_t min_ms, uint64_t max_ms,
    uint64_t *out_ms, char why[CONF_WHY_MAX])
{
	return in_range(value, durations, "250ms, 25s, 15min or 2h", min_ms,
	    max_ms, out_ms, why);
}

int conf_size(const char *value, uint64_t min, uint64_t max, uint64_t *out,
    char why[CONF_WHY_MAX])
{
	return in_range(value, sizes, "4096, 64k or 16M", min, max, out, why);
}

int conf_string(const char *value, char **out)
{
	char *copy = strdup(value);

	if (copy == NULL)
		return ERR_NOMEM;
	free(*out);
	*out = copy;
	return 0;
}
