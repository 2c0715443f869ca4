#include "config.h"

#include "server/options.h"

#include <stdio.h>
#include <string.h>

#include "common/err.h"

/* Is this, with '-' for '_', a setting of [gateway]? Its name to key. */
static bool find_setting(const char *name, char *key, size_t key_len)
{
	size_t len = strlen(name);

	if (len >= key_len)
		return false;
	for (size_t i = 0; i <= len; i++)
		key[i] = name[i] == '-' ? '_' : name[i];
	for (const struct conf_setting *s = settings_table; s->section != NULL;
	    s++)
		if (strcmp(s->section, "gateway") == 0 &&
		    strcmp(s->key, key) == 0)
			return true;
	return false;
}

static bool take_flag(struct options *o, const char *name)
{
	if (strcmp(name, "help") == 0)
		o->help = true;
	else if (strcmp(name, "json") == 0)
		o->json = true;
	else if (strcmp(name, "all-servers") == 0)
		o->all_servers = true;
	else
		return false;
	return true;
}

static int take_value(struct options *o, const char *name, const char *value,
    char why[OPTIONS_WHY_MAX])
{
	if (o->setting_count == OPTIONS_MAX ||
	    o->server_count == OPTIONS_MAX) {
		snprintf(why, OPTIONS_WHY_MAX,
		    "--%s: too many options; use the configuration file",
		    name);
		return ERR_CONFIG;
	}
	if (strcmp(name, "config") == 0) {
		o->file = value;
	} else if (strcmp(name, "server") == 0) {
		o->servers[o->server_count++] = value;
	} else {
		o->settings[o->setting_count].key = o->keys[o->setting_count];
		o->settings[o->setting_count++].value = value;
	}
	return 0;
}

/* "--name value" or "--name=value"; *i moves on to what was used. */
static int take_option(struct options *o, int argc, char **argv, int *i,
    char why[OPTIONS_WHY_MAX])
{
	const char *text = argv[*i] + 2;
	const char *value = strchr(text, '=');
	size_t len = value != NULL ? (size_t)(value - text) : strlen(text);
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	if (value == NULL && take_flag(o, name))
		return 0;
	if (strcmp(name, "config") != 0 && strcmp(name, "server") != 0 &&
	    (o->setting_count == OPTIONS_MAX || !find_setting(name,
	    o->keys[o->setting_count], sizeof(o->keys[0])))) {
		snprintf(why, OPTIONS_WHY_MAX,
		    "--%s: no such option; --help shows them", name);
		return ERR_CONFIG;
	}
	if (value != NULL)
		return take_value(o, name, value + 1, why);
	if (*i + 1 >= argc) {
		snprintf(why, OPTIONS_WHY_MAX, "--%s: needs a value", name);
		return ERR_CONFIG;
	}
	return take_value(o, name, argv[++*i], why);
}

int options_parse(struct options *out, int argc, char **argv,
    char why[OPTIONS_WHY_MAX])
{
	bool only_words = false;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	out->file = SETTINGS_FILE;
	for (int i = 0; i < argc && rc == 0; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
		} else if (!only_words && strncmp(argv[i], "--", 2) == 0) {
			rc = take_option(out, argc, argv, &i, why);
		} else if (!only_words && argv[i][0] == '-') {
			snprintf(why, OPTIONS_WHY_MAX,
			    "%.100s: no such option; --help shows them",
			    argv[i]);
			rc = ERR_CONFIG;
		} else if (out->word_count == OPTIONS_MAX) {
			snprintf(why, OPTIONS_WHY_MAX, "too many arguments");
			rc = ERR_CONFIG;
		} else {
			out->words[out->word_count++] = argv[i];
		}
	}
	return rc;
}

void options_print_settings(void)
{
	for (const struct conf_setting *s = settings_table; s->section != NULL;
	    s++) {
		char name[64];

		if (strcmp(s->section, "gateway") != 0)
			continue;
		snprintf(name, sizeof(name), "--%s %s", s->key, s->meta);
		for (char *p = name; *p != '\0' && *p != ' '; p++)
			if (*p == '_')
				*p = '-';
		printf("  %-28s %s\n", name, s->help);
	}
}
