#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/options.h"
#include "client/run.h"
#include "client/setup.h"
#include "client/status.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/keyfile.h"

#define EXIT_USAGE 2

static const char exit_codes[] =
    "Exit codes: 0 ended by a signal, 1 could not start (an address is in\n"
    "use), 2 wrong options, configuration or key file.\n";

static const char status_codes[] =
    "Exit codes: 0 the tunnel is up, 1 no tunnel answers, 2 wrong options,\n"
    "3 the tunnel is down.\n";

static const char keygen_codes[] =
    "An existing file is never overwritten.\n"
    "Exit codes: 0 made, 1 not made, 2 wrong options.\n";

static const char *const keygen_options[] = { "key-file", NULL };
static const char *const status_options[] = { "status-socket", NULL };
static const char *const no_options[] = { NULL };

static int usage_error(const char *why)
{
	fprintf(stderr, "nrpc-tunnel: %s\n", why);
	return EXIT_USAGE;
}

static int load(struct setup *setup, const struct options *o)
{
	char why[CONF_WHY_MAX] = "";
	int rc = setup_load(setup, o, why);

	if (rc != 0)
		(void)usage_error(why[0] != '\0' ? why : err_text(rc));
	return rc;
}

static int verb_run(const struct options *o)
{
	char why[CONF_WHY_MAX] = "";
	struct setup setup;
	int status;

	if (load(&setup, o) != 0)
		status = EXIT_USAGE;
	else if (setup_complete(&setup, why) != 0)
		status = usage_error(why);
	else
		status = run_tunnel(&setup);
	setup_free(&setup);
	return status;
}

static int verb_status(const struct options *o)
{
	struct setup setup;
	int status;

	if (load(&setup, o) != 0)
		status = EXIT_USAGE;
	else if (setup.status_socket == NULL)
		status = usage_error("where is the status socket? Give "
		    "--status-socket PATH");
	else
		status = status_show(setup.status_socket, o->json);
	setup_free(&setup);
	return status;
}

static void print_key(const char *path, const uint8_t pub[32])
{
	char text[KEYFILE_TEXT_LEN + 1];
	char fingerprint[KEYFILE_FINGERPRINT_LEN + 1];

	keyfile_encode(pub, text);
	keyfile_fingerprint(pub, fingerprint);
	printf("secret key:  %s\npublic key:  %s\nfingerprint: %s\n\n"
	    "On the gateway: nrpc-gateway device add NAME %s "
	    "--all-servers\n", path, text,
	    fingerprint, text);
}

static int verb_keygen(const struct options *o)
{
	char why[KEYFILE_WHY_MAX];
	struct noise_keys keys;
	struct setup setup;
	int status = EXIT_SUCCESS;

	if (load(&setup, o) != 0) {
		status = EXIT_USAGE;
	} else if (setup.key_file == NULL) {
		status = usage_error("where to? Give --key-file FILE");
	} else {
		setup_make_folders(setup.key_file);
		if (keyfile_create(setup.key_file, &keys, why) == 0) {
			print_key(setup.key_file, keys.pub);
			crypto_wipe(&keys, sizeof(keys));
		} else {
			fprintf(stderr, "nrpc-tunnel: %s\n", why);
			status = EXIT_FAILURE;
		}
	}
	setup_free(&setup);
	return status;
}

static int verb_version(const struct options *o)
{
	(void)o;
	printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
	return EXIT_SUCCESS;
}

static int verb_help(const struct options *o);

static const struct {
	struct options_verb verb;
	int (*run)(const struct options *o);
} verbs[] = {
	{ { "run", "Carry Notes connections to the gateway, until ended by a "
	    "signal.", exit_codes, NULL, false, true }, verb_run },
	{ { "keygen", "Make this device's key and show its public part.",
	    keygen_codes, keygen_options, false, true }, verb_keygen },
	{ { "status", "Ask a running tunnel how it is.", status_codes,
	    status_options, true, true }, verb_status },
	{ { "version", "Print the version.", NULL, no_options, false, false },
	    verb_version },
	{ { "help", "List the verbs.", NULL, no_options, false, false },
	    verb_help }
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static int verb_help(const struct options *o)
{
	(void)o;
	printf("usage: nrpc-tunnel VERB [OPTION]...\n\n"
	    "Carries Notes connections inside HTTPS to an nrpc-gateway.\n\n");
	for (size_t i = 0; i < VERB_COUNT; i++)
		printf("  %-8s %s\n", verbs[i].verb.name, verbs[i].verb.what);
	printf("\nnrpc-tunnel VERB --help tells more.\n");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	char why[CONF_WHY_MAX];
	struct options options;

	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		word = "help";
	else if (strcmp(word, "--version") == 0)
		word = "version";
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (strcmp(word, verbs[i].verb.name) != 0)
			continue;
		if (options_parse(&options, &verbs[i].verb, argc - 2,
		    argv + 2, why) != 0)
			return usage_error(why);
		if (!options.help)
			return verbs[i].run(&options);
		options_help(&verbs[i].verb, stdout);
		return EXIT_SUCCESS;
	}
	if (word[0] == '\0')
		snprintf(why, sizeof(why), "a verb is missing; see "
		    "nrpc-tunnel help");
	else
		snprintf(why, sizeof(why), "unknown verb '%.100s'; see "
		    "nrpc-tunnel help", word);
	return usage_error(why);
}
