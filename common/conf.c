#include "config.h"

#include "common/conf.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define FILE_MAX (1u << 20)	/* bytes of a configuration file */
#define HEADING_MAX 511u	/* bytes of a heading; other lines: see inih */
#define NOTED_MAX 256u		/* sections with an argument in one file */

/*
 * inih splits "key = value" and takes off comments. It cuts section names at
 * 50 bytes, does not tell of empty sections, and (as Debian builds it) gives
 * no line numbers; so the reader that hands it the lines looks at the
 * headings itself and counts.
 */
struct parser {
	const struct conf *conf;
	conf_section_fn on_section;
	const char *name;		/* the file's */
	const char *next;		/* text not yet read */
	size_t left;
	int line;			/* of what was read last */
	int rc;				/* the first failure */
	char *why;
	char section[HEADING_MAX + 1];	/* "" before the first heading */
	char *argument;			/* into section, or NULL */
	bool *given;			/* per setting, in this section */
	struct noted {
		char *text;		/* "server CN=Mail1/O=Acme" */
		int line;
	} noted[NOTED_MAX];
	unsigned noted_count;
};

__attribute__((format(printf, 2, 3)))
static int fail(struct parser *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (p->rc != 0)
		return p->rc;
	p->rc = ERR_CONFIG;
	n = snprintf(p->why, CONF_WHY_MAX, "%s:%d: ", p->name, p->line);
	if (n < 0 || (unsigned)n >= CONF_WHY_MAX)
		return p->rc;
	va_start(ap, fmt);
	vsnprintf(p->why + n, CONF_WHY_MAX - (size_t)n, fmt, ap);
	va_end(ap);
	return p->rc;
}

/* ---- the nearest word ------------------------------------------------- */

#define WORD_MAX 48u

/* Levenshtein's distance; words longer than WORD_MAX are far from anything. */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], a_len = strlen(a), b_len = strlen(b);

	if (a_len > WORD_MAX || b_len > WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_len];
}

/*
 * The nearest key of a section, or with section NULL the nearest section, if
 * it is near enough to have been meant.
 */
static const char *nearest(const struct conf *c, const char *section,
    const char *word)
{
	const char *best = NULL;
	size_t best_distance = strlen(word) / 3 + 2;

	for (const struct conf_setting *s = c->settings; s->section; s++) {
		const char *candidate = section ? s->key : s->section;
		size_t d = distance(word, candidate);

		if (section != NULL && strcmp(s->section, section) != 0)
			continue;
		if (d < best_distance && d < strlen(candidate)) {
			best = candidate;
			best_distance = d;
		}
	}
	return best;
}

static const struct conf_setting *find(const struct conf *c,
    const char *section, const char *key)
{
	for (const struct conf_setting *s = c->settings; s->section; s++)
		if (strcmp(s->section, section) == 0 &&
		    (key == NULL || strcmp(s->key, key) == 0))
			return s;
	return NULL;
}

static size_t count_settings(const struct conf *c)
{
	size_t n = 0;

	while (c->settings[n].section != NULL)
		n++;
	return n;
}

/* ---- headings --------------------------------------------------------- */

static int unknown_section(struct parser *p)
{
	const char *near = nearest(p->conf, NULL, p->section);

	if (near != NULL)
		return fail(p, "unknown section [%s]; did you mean [%s]?",
		    p->section, near);
	return fail(p, "unknown section [%s]", p->section);
}

/*
 * A section with an argument begins something new, a server or a listener, and
 * may do so once; those without may be taken up again.
 */
static int note_section(struct parser *p)
{
	size_t size = strlen(p->section) + strlen(p->argument) + 2;
	char *text;

	if (p->noted_count == NOTED_MAX)
		return fail(p, "more than %u sections", NOTED_MAX);
	text = malloc(size);
	if (text == NULL)
		return p->rc = ERR_NOMEM;
	snprintf(text, size, "%s %s", p->section, p->argument);
	for (unsigned i = 0; i < p->noted_count; i++)
		if (strcmp(p->noted[i].text, text) == 0) {
			free(text);
			return fail(p, "[%s] begins a second time; the first "
			    "is in line %d", p->noted[i].text,
			    p->noted[i].line);
		}
	p->noted[p->noted_count].text = text;
	p->noted[p->noted_count++].line = p->line;
	return 0;
}

/* No key of this section has been given yet. */
static void forget_given(struct parser *p)
{
	const struct conf_setting *s = p->conf->settings;

	for (size_t i = 0; s[i].section != NULL; i++)
		if (strcmp(s[i].section, p->section) == 0)
			p->given[i] = false;
}

/* Cut "name argument" in p->section into its two parts. */
static void split_section(struct parser *p)
{
	char *blank = strpbrk(p->section, " \t");

	p->argument = NULL;
	if (blank == NULL)
		return;
	*blank = '\0';
	p->argument = blank + 1 + strspn(blank + 1, " \t");
}

static int check_section(struct parser *p)
{
	const struct conf_setting *s = find(p->conf, p->section, NULL);
	char why[CONF_WHY_MAX] = "";

	if (s == NULL)
		return unknown_section(p);
	if (s->section_argument && p->argument == NULL)
		return fail(p, "[%s] needs an argument: [%s NAME]", p->section,
		    p->section);
	if (!s->section_argument && p->argument != NULL)
		return fail(p, "[%s] takes no argument, but is followed by "
		    "'%s'", p->section, p->argument);
	if (p->argument != NULL) {
		forget_given(p);
		if (note_section(p) != 0)
			return p->rc;
	}
	if (p->on_section != NULL && p->on_section(p->conf->ctx, p->section,
	    p->argument, why) != 0)
		return fail(p, "[%s%s%s]: %s", p->section,
		    p->argument ? " " : "", p->argument ? p->argument : "",
		    why);
	return 0;
}

/*
 * A line that begins with '[' and, but for a comment, ends with ']'. Brackets
 * may also be part of the argument, as in [listen [::1]:1352].
 */
static int read_heading(struct parser *p, const char *line, size_t len)
{
	size_t end = len, start = 1;

	for (size_t i = 1; i < end; i++)
		if (line[i] == ';' && (line[i - 1] == ' ' ||
		    line[i - 1] == '\t'))
			end = i;
	while (end > 0 && strchr(" \t\r\n", line[end - 1]) != NULL)
		end--;
	if (end < 2 || line[end - 1] != ']')
		return fail(p, "a section's heading must end with ']'");
	end--;
	while (end > start && strchr(" \t", line[end - 1]) != NULL)
		end--;
	while (start < end && strchr(" \t", line[start]) != NULL)
		start++;
	if (start == end)
		return fail(p, "a section needs a name between the brackets");
	memcpy(p->section, line + start, end - start);
	p->section[end - start] = '\0';
	split_section(p);
	return check_section(p);
}

/* ---- lines ------------------------------------------------------------ */

/* Cut the next line off the text, without its newline; false at the end. */
static bool next_line(struct parser *p, const char **line, size_t *len)
{
	const char *eol;

	if (p->left == 0)
		return false;
	*line = p->next;
	eol = memchr(p->next, '\n', p->left);
	*len = eol != NULL ? (size_t)(eol - p->next) : p->left;
	p->next += *len + (eol != NULL);
	p->left -= *len + (eol != NULL);
	p->line++;
	return true;
}

/*
 * Skip a byte order mark, and the indentation: for inih an indented line
 * would continue the value before it, which nobody means.
 */
static void skip_indent(const struct parser *p, const char **line, size_t *len)
{
	size_t skip = 0;

	if (p->line == 1 && *len >= 3 && memcmp(*line, "\xef\xbb\xbf", 3) == 0)
		skip = 3;
	while (skip < *len && strchr(" \t\r\f\v", (*line)[skip]) != NULL)
		skip++;
	*line += skip;
	*len -= skip;
}

/*
 * inih's fgets: exactly one line per call, so that its count is ours, with a
 * blank one in place of each heading. NULL at the end and after a failure.
 */
static char *read_line(char *out, int room, void *stream)
{
	struct parser *p = stream;
	const char *line;
	size_t len, max;

	if (p->rc != 0 || room < 3 || !next_line(p, &line, &len))
		return NULL;
	if (memchr(line, '\0', len) != NULL) {
		fail(p, "the line holds a NUL byte; is this a text file?");
		return NULL;
	}
	skip_indent(p, &line, &len);
	max = len > 0 && line[0] == '[' ? HEADING_MAX : (size_t)room - 2;
	if (len > max) {
		fail(p, "the line is too long: %zu bytes, at most %zu", len,
		    max);
		return NULL;
	}
	if (len > 0 && line[0] == '[') {
		if (read_heading(p, line, len) != 0)
			return NULL;
		len = 0;
	}
	memcpy(out, line, len);
	memcpy(out + len, "\n", 2);
	return out;
}

static void unknown_key(struct parser *p, const char *key)
{
	const char *near = nearest(p->conf, p->section, key);

	if (key[0] == '\0')
		fail(p, "there is no key before the '='");
	else if (near != NULL)
		fail(p, "unknown key '%s' in [%s]; did you mean '%s'?", key,
		    p->section, near);
	else
		fail(p, "unknown key '%s' in [%s]", key, p->section);
}

/* inih's handler; its own idea of the section may be cut, so ours counts. */
static int on_pair(void *user, const char *section, const char *key,
    const char *value)
{
	struct parser *p = user;
	const struct conf_setting *s;
	char why[CONF_WHY_MAX] = "";
	int rc;

	(void)section;
	if (p->rc != 0)
		return 0;
	if (p->section[0] == '\0') {
		fail(p, "'%s' stands before the first [section]", key);
		return 0;
	}
	s = find(p->conf, p->section, key);
	if (s == NULL) {
		unknown_key(p, key);
		return 0;
	}
	if (p->given[s - p->conf->settings] && !s->repeatable) {
		fail(p, "'%s' is given a second time", key);
		return 0;
	}
	p->given[s - p->conf->settings] = true;
	rc = s->set(p->conf->ctx, p->argument, value != NULL ? value : "", why);
	if (rc == ERR_NOMEM)
		p->rc = rc;
	else if (rc != 0)
		fail(p, "%s: %s", key, why);
	return rc == 0;
}

/* Let inih loose; what it cannot read at all it tells by the line's number. */
static int run(struct parser *p)
{
	int bad = ini_parse_stream(read_line, p, on_pair, p);

	if (p->rc != 0 && (bad <= 0 || bad >= p->line))
		return p->rc;
	if (bad > 0) {
		p->rc = 0;
		p->line = bad;
		return fail(p, "the line is neither a [section], nor 'key = "
		    "value', nor a comment");
	}
	return bad < 0 ? ERR_NOMEM : 0;
}

int conf_parse(const struct conf *c, const char *name, const char *text,
    size_t len, conf_section_fn section, char why[CONF_WHY_MAX])
{
	struct parser *p = calloc(1, sizeof(*p));
	int rc = ERR_NOMEM;

	if (p == NULL)
		goto out;
	p->conf = c;
	p->on_section = section;
	p->name = name;
	p->next = text;
	p->left = len;
	p->why = why;
	p->given = calloc(count_settings(c) + 1, sizeof(*p->given));
	if (p->given != NULL)
		rc = run(p);
	for (unsigned i = 0; i < p->noted_count; i++)
		free(p->noted[i].text);
	free(p->given);
	free(p);
out:
	if (rc == ERR_NOMEM)
		snprintf(why, CONF_WHY_MAX, "%s: no memory", name);
	return rc;
}

/* The whole file; *len is FILE_MAX + 1 when it is larger than FILE_MAX. */
static int slurp(const char *path, char **text, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *t;
	int bad;

	if (f == NULL)
		return ERR_IO;
	t = malloc(FILE_MAX + 1);
	if (t == NULL) {
		fclose(f);
		errno = ENOMEM;
		return ERR_NOMEM;
	}
	*len = fread(t, 1, FILE_MAX + 1, f);
	bad = ferror(f) ? errno : 0;
	fclose(f);
	if (bad != 0) {
		free(t);
		errno = bad;
		return ERR_IO;
	}
	*text = t;
	return 0;
}

int conf_read(const struct conf *c, const char *path, conf_section_fn section,
    char why[CONF_WHY_MAX])
{
	char *text;
	size_t len;
	int rc;

	rc = slurp(path, &text, &len);
	if (rc != 0) {
		snprintf(why, CONF_WHY_MAX,
		    "%s: the configuration cannot be read: %s", path,
		    strerror(errno));
		return rc;
	}
	if (len > FILE_MAX) {
		free(text);
		snprintf(why, CONF_WHY_MAX,
		    "%s: larger than 1 MiB; is this the configuration?", path);
		return ERR_CONFIG;
	}
	rc = conf_parse(c, path, text, len, section, why);
	free(text);
	return rc;
}

int conf_option(const struct conf *c, const char *section, const char *key,
    const char *value, char why[CONF_WHY_MAX])
{
	const struct conf_setting *s = find(c, section, key);
	char detail[CONF_WHY_MAX] = "";
	int rc;

	if (s == NULL) {
		snprintf(why, CONF_WHY_MAX, "--%s: unknown option", key);
		return ERR_CONFIG;
	}
	if (value == NULL && s->meta != NULL) {
		snprintf(why, CONF_WHY_MAX, "--%s: needs a value (%s)", key,
		    s->meta);
		return ERR_CONFIG;
	}
	rc = s->set(c->ctx, NULL, value != NULL ? value : "yes", detail);
	if (rc == ERR_NOMEM)
		snprintf(why, CONF_WHY_MAX, "--%s: no memory", key);
	else if (rc != 0)
		snprintf(why, CONF_WHY_MAX, "--%.40s: %.400s", key, detail);
	return rc;
}
