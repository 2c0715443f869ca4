/*
 * Configuration files (inih's INI) and command-line options for the same
 * settings. A program gives one table of settings; the reader knows nothing
 * of what they mean.
 *
 * Every complaint is one sentence with file, line (or option), what is wrong
 * and what would be right: "gateway.conf:12: unknown key 'lisen' in [gateway];
 * did you mean 'listen'?".
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_WHY_MAX 512u

/*
 * One setting. set() is called for every time it is given, in order, with the
 * section's argument (for "[server CN=Mail1/O=Acme]" that is
 * "CN=Mail1/O=Acme", else NULL); it writes to the program's own structure. It
 * returns 0 or ERR_CONFIG with the complaint's text, without the origin, in
 * why ("must be between 1 and 65535").
 */
struct conf_setting {
	const char *section;	/* "gateway"; several tables rows may share it */
	const char *key;
	bool section_argument;	/* does the section take one? */
	bool repeatable;	/* may it be given more than once? */
	int (*set)(void *ctx, const char *argument, const char *value,
	    char why[CONF_WHY_MAX]);
	const char *help;	/* one line, for --help */
	const char *meta;	/* "ADDRESS", for --help; NULL for a flag */
};

/*
 * The table ends with a row whose section is NULL; rows of one section agree
 * in section_argument.
 */
struct conf {
	const struct conf_setting *settings;
	void *ctx;
};

/* Called for each section as it begins, to check its argument; may be NULL. */
typedef int (*conf_section_fn)(void *ctx, const char *section,
    const char *argument, char why[CONF_WHY_MAX]);

/*
 * Read a whole file. 0, ERR_IO (cannot be read), ERR_CONFIG or ERR_NOMEM; why
 * is then the whole sentence. Unknown sections and keys, values outside a
 * section, a key given twice that is not repeatable, a section with the same
 * argument begun twice, lines too long (198 bytes with Debian's inih), and NUL
 * bytes are errors. Reading stops at the first one.
 *
 * A line is a comment from ';' or '#' at its beginning, and from ';' behind a
 * blank. Indentation means nothing. set() may be called for lines before the
 * one complained of.
 */
int conf_read(const struct conf *c, const char *path, conf_section_fn section,
    char why[CONF_WHY_MAX]);

/* The same from memory; name stands for the path in complaints. For fuzzing. */
int conf_parse(const struct conf *c, const char *name, const char *text,
    size_t len, conf_section_fn section, char why[CONF_WHY_MAX]);

/*
 * Apply one command-line setting: "--key value" for a setting without section
 * argument; value NULL for a flag (a setting without meta) stands for "yes".
 * why is the whole sentence, naming the option.
 */
int conf_option(const struct conf *c, const char *section, const char *key,
    const char *value, char why[CONF_WHY_MAX]);

/* Value parsers for set(): 0 or ERR_CONFIG with why filled in. */
int conf_bool(const char *value, bool *out, char why[CONF_WHY_MAX]);
int conf_uint(const char *value, uint64_t min, uint64_t max, uint64_t *out,
    char why[CONF_WHY_MAX]);
/* "250ms", "25s", "15min", "2h"; a bare number is seconds. */
int conf_duration(const char *value, uint64_t min_ms, uint64_t max_ms,
    uint64_t *out_ms, char why[CONF_WHY_MAX]);
/* "4096", "64k", "16M": powers of 1024. */
int conf_size(const char *value, uint64_t min, uint64_t max, uint64_t *out,
    char why[CONF_WHY_MAX]);
/* A copy on the heap; 0 or ERR_NOMEM. Frees what *out held before. */
int conf_string(const char *value, char **out);

#endif
