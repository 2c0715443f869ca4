#include "config.h"

#include "client/options.h"

#include <stdlib.h>
#include <string.h>

#include "client/setup.h"
#include "client/settings.h"
#include "common/err.h"

#define HELP_COLUMN 30

/*
 * The option of a setting: its key with dashes. A bare "key" would say
 * nothing without its section.
 */
static void option_name(const struct conf_setting *s,
    char out[OPTIONS_NAME_MAX])
{
	if (strcmp(s->key, "key") == 0)
		snprintf(out, OPTIONS_NAME_MAX, "%s-%s", s->section, s->key);
	else
		snprintf(out, OPTIONS_NAME_MAX, "%s", s->key);
	for (char *p = out; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
}

static bool verb_knows(const struct options_verb *verb, const char *name)
{
	if (verb->only == NULL)
		return true;
	for (const char *const *p = verb->only; *p != NULL; p++)
		if (strcmp(*p, name) == 0)
			return true;
	return false;
}

static const struct conf_setting *find_setting(
    const struct options_verb *verb, const char *name, size_t len)
{
	char known[OPTIONS_NAME_MAX];

	for (const struct conf_setting *s = settings_table;
	    s->section != NULL; s++) {
		if (s->section_argument)
			continue;
		option_name(s, known);
		if (strlen(known) == len && memcmp(known, name, len) == 0 &&
		    verb_knows(verb, known))
			return s;
	}
	return NULL;
}

static int add(struct options *o, const struct conf_setting *s,
    const char *value, char why[CONF_WHY_MAX])
{
	char name[OPTIONS_NAME_MAX];

	option_name(s, name);
	for (unsigned i = 0; i < o->count && !s->repeatable; i++) {
		if (o->given[i].setting != s)
			continue;
		snprintf(why, CONF_WHY_MAX, "--%s is given twice; give it "
		    "once", name);
		return ERR_CONFIG;
	}
	if (o->count == OPTIONS_MAX) {
		snprintf(why, CONF_WHY_MAX, "too many options; put them into "
		    "a configuration file");
		return ERR_CONFIG;
	}
	o->given[o->count].setting = s;
	o->given[o->count].value = value;
	o->count++;
	return 0;
}

static int no_such_option(const struct options_verb *verb, const char *word,
    char why[CONF_WHY_MAX])
{
	snprintf(why, CONF_WHY_MAX, "%s '%.200s'; see nrpc-tunnel %s --help",
	    word[0] == '-' ? "unknown option" : "unexpected word", word,
	    verb->name);
	return ERR_CONFIG;
}

/* Options that are no settings. Sets *done when it was one. */
static void parse_own(struct options *o, const struct options_verb *verb,
    const char *word, bool *done)
{
	*done = true;
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		o->help = true;
	else if (strcmp(word, "--json") == 0 && verb->json)
		o->json = true;
	else
		*done = false;
}

/* One option and its value; *used: how many words that were. */
static int parse_one(struct options *o, const struct options_verb *verb,
    int argc, char *const *argv, int *used, char why[CONF_WHY_MAX])
{
	const char *word = argv[0];
	const struct conf_setting *s;
	const char *value;
	bool is_config;
	size_t len;

	if (strncmp(word, "--", 2) != 0)
		return no_such_option(verb, word, why);
	len = strcspn(word + 2, "=");
	is_config = verb->config && len == 6 &&
	    strncmp(word + 2, "config", 6) == 0;
	s = is_config ? NULL : find_setting(verb, word + 2, len);
	if (s == NULL && !is_config)
		return no_such_option(verb, word, why);

	*used = 1;
	if (word[2 + len] == '=') {
		value = word + 2 + len + 1;
	} else if (s != NULL && s->meta == NULL) {
		value = "yes";
	} else if (argc > 1) {
		value = argv[1];
		*used = 2;
	} else {
		snprintf(why, CONF_WHY_MAX, "%.200s needs a value (%s)", word,
		    is_config ? "FILE" : s->meta);
		return ERR_CONFIG;
	}
	if (!is_config)
		return add(o, s, value, why);
	o->config_path = value;
	return 0;
}

int options_parse(struct options *o, const struct options_verb *verb,
    int argc, char *const *argv, char why[CONF_WHY_MAX])
{
	int rc, used;
	bool done;

	memset(o, 0, sizeof(*o));
	for (int i = 0; i < argc; i += used) {
		used = 1;
		parse_own(o, verb, argv[i], &done);
		if (done)
			continue;
		rc = parse_one(o, verb, argc - i, argv + i, &used, why);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int options_apply(const struct options *o, struct setup *c,
    char why[CONF_WHY_MAX])
{
	char name[OPTIONS_NAME_MAX], text[CONF_WHY_MAX];
	bool listens = false;
	int rc;

	for (unsigned i = 0; i < o->count; i++) {
		const struct conf_setting *s = o->given[i].setting;

		if (s->repeatable && !listens) {
			setup_clear_listens(c);
			listens = true;
		}
		text[0] = '\0';
		rc = s->set(c, NULL, o->given[i].value, text);
		if (rc == 0)
			continue;
		option_name(s, name);
		snprintf(why, CONF_WHY_MAX, "--%s: %.400s", name,
		    rc == ERR_CONFIG ? text : err_text(rc));
		return ERR_CONFIG;
	}
	return 0;
}

/* Two columns; a help text of several lines goes on in the second. */
static void print_row(FILE *out, const char *name, const char *meta,
    const char *help)
{
	int width = fprintf(out, "  --%s%s%s", name, meta != NULL ? " " : "",
	    meta != NULL ? meta : "");

	if (width >= HELP_COLUMN - 1) {
		fputc('\n', out);
		width = 0;
	}
	while (help != NULL) {
		const char *end = strchr(help, '\n');
		size_t len = end != NULL ? (size_t)(end - help) : strlen(help);

		fprintf(out, "%*s%.*s\n", HELP_COLUMN - width, "", (int)len,
		    help);
		width = 0;
		help = end != NULL ? end + 1 : NULL;
	}
}

void options_help(const struct options_verb *verb, FILE *out)
{
	char name[OPTIONS_NAME_MAX];

	fprintf(out, "usage: nrpc-tunnel %s [OPTION]...\n\n%s\n\n", verb->name,
	    verb->what);
	for (const struct conf_setting *s = settings_table;
	    s->section != NULL; s++) {
		option_name(s, name);
		if (!s->section_argument && verb_knows(verb, name))
			print_row(out, name, s->meta, s->help);
	}
	if (verb->config)
		print_row(out, "config", "FILE",
		    "configuration file (default:\n"
		    "~/.config/nrpc-tunnel/nrpc-tunnel.conf, else\n"
		    "/etc/nrpc-tunnel/nrpc-tunnel.conf)");
	if (verb->json)
		print_row(out, "json", NULL, "print the answer as it came");
	print_row(out, "help", NULL, "this text");
	if (verb->text != NULL)
		fprintf(out, "\n%s", verb->text);
}
