/*
 * The command line: verb options, and every setting of [gateway] as
 * --key VALUE. Knows what the words are, not what they do.
 */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "server/settings.h"

#define OPTIONS_MAX 64u		/* of a kind */
#define OPTIONS_WHY_MAX 512u

struct options {
	const char *file;		/* --config, or SETTINGS_FILE */
	bool help;			/* --help */
	bool json;			/* --json */
	bool all_servers;		/* --all-servers */
	const char *servers[OPTIONS_MAX];	/* --server NAME */
	size_t server_count;
	const char *words[OPTIONS_MAX];	/* what is no option */
	size_t word_count;
	struct settings_option settings[OPTIONS_MAX];
	size_t setting_count;
	char **argv;			/* of the process; left to main */
	char keys[OPTIONS_MAX][32];	/* private: the settings' names */
};

/*
 * Read argv[0..argc), which begins behind the verb; the result points into it.
 * 0 or ERR_CONFIG, with a sentence in why.
 */
int options_parse(struct options *out, int argc, char **argv,
    char why[OPTIONS_WHY_MAX]);

/* Print the settings as options, for --help. */
void options_print_settings(void);

#endif
