/*
 * The command line after the verb: every setting of settings.h as
 * --name VALUE, and a few that only make sense there. Also prints the help,
 * from the same table.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "common/conf.h"

#define OPTIONS_MAX 160u	/* settings on one command line */
#define OPTIONS_NAME_MAX 64u

/* What a verb accepts. */
struct options_verb {
	const char *name;	/* "run" */
	const char *what;	/* one line, for the list of verbs */
	const char *text;	/* more, for its own --help; may be NULL */
	const char *const *only;/* option names, ends with NULL; NULL: all */
	bool json;		/* does it know --json? */
	bool config;		/* does it know --config? */
};

struct options {
	const char *config_path;	/* --config, or NULL */
	bool help;
	bool json;
	struct {
		const struct conf_setting *setting;
		const char *value;
	} given[OPTIONS_MAX];
	unsigned count;
};

/*
 * Parse argv[0..argc), the words after the verb. "--name VALUE" and
 * "--name=VALUE" are the same; a flag stands for "yes". The strings are
 * borrowed. 0 or ERR_CONFIG with a sentence in why.
 */
int options_parse(struct options *o, const struct options_verb *verb,
    int argc, char *const *argv, char why[CONF_WHY_MAX]);

struct setup;

/*
 * Put what was given into the configuration. Listeners given here replace
 * those that are there. 0 or ERR_CONFIG with a sentence naming the option.
 */
int options_apply(const struct options *o, struct setup *c,
    char why[CONF_WHY_MAX]);

/* The --help of a verb. */
void options_help(const struct options_verb *verb, FILE *out);

#endif
