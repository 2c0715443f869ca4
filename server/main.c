#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/keyfile.h"
#include "server/check.h"
#include "server/gateway.h"
#include "server/options.h"
#include "server/privilege.h"
#include "server/registry_cli.h"
#include "server/settings.h"

#define STATUS_USAGE 2

struct verb {
	const char *name;
	int (*run)(const struct options *o);
	void (*help)(void);
	const char *summary;
};

static int complain(const char *why)
{
	fprintf(stderr, "nrpc-gateway: %s\n", why);
	return EXIT_FAILURE;
}

static int usage(const char *why)
{
	fprintf(stderr, "nrpc-gateway: %s; see 'nrpc-gateway help'\n", why);
	return STATUS_USAGE;
}

static int load(const struct options *o, struct settings **out)
{
	char why[CONF_WHY_MAX];

	if (settings_load(out, o->file, o->settings, o->setting_count,
	    why) == 0)
		return 0;
	return complain(why);
}

/*
 * Files that root makes for the gateway are to be the gateway's: so root
 * becomes that user, where the configuration names one.
 */
static int become_user(const struct settings *s)
{
	char why[PRIVILEGE_WHY_MAX];

	if (s->user == NULL || privilege_drop(s->user, why) == 0)
		return 0;
	return complain(why);
}

/* ---- run -------------------------------------------------------------- */

static int run(const struct options *o)
{
	struct gateway_source source = {
		.file = o->file,
		.options = o->settings,
		.option_count = o->setting_count,
		.argv = o->argv,
	};

	if (o->word_count > 0)
		return usage("'run' takes options only");
	return gateway_run(&source);
}

static void help_run(void)
{
	puts("usage: nrpc-gateway run [--config FILE] [OPTION VALUE]...\n"
	    "\n"
	    "Run in the foreground until SIGTERM. SIGHUP reads configuration,\n"
	    "certificate and devices again, SIGUSR1 writes counters to the\n"
	    "log. SIGUSR2 starts the program anew and hands all connections\n"
	    "over to it. Options override the file:\n");
	printf("  %-28s %s\n", "--config FILE",
	    "the configuration (" SETTINGS_FILE ")");
	options_print_settings();
}

/* ---- check ------------------------------------------------------------ */

static int check(const struct options *o)
{
	struct settings *s;
	int status = load(o, &s);

	if (status != 0)
		return status;
	status = check_run(o->file, s);
	settings_free(s);
	return status;
}

static void help_check(void)
{
	puts("usage: nrpc-gateway check [--config FILE] [OPTION VALUE]...\n"
	    "\n"
	    "Say whether 'run' with the same options would start: reads the\n"
	    "configuration, the keys and the registry; binds nothing.\n"
	    "The options are those of 'run'.");
}

/* ---- keygen ----------------------------------------------------------- */

static int keygen(const struct options *o)
{
	char why[KEYFILE_WHY_MAX], key[KEYFILE_TEXT_LEN + 1];
	char print[KEYFILE_FINGERPRINT_LEN + 1];
	struct noise_keys keys;
	struct settings *s = NULL;
	int status = 0;

	if (o->word_count > 1)
		return usage("'keygen' takes one file");
	if (o->word_count == 0)
		status = load(o, &s);
	if (s != NULL && status == 0)
		status = become_user(s);
	if (status == 0 && keyfile_create(s != NULL ? s->key_file :
	    o->words[0], &keys, why) != 0)
		status = complain(why);
	settings_free(s);
	if (status != 0)
		return status;
	crypto_wipe(keys.secret, sizeof(keys.secret));
	keyfile_encode(keys.pub, key);
	keyfile_fingerprint(keys.pub, print);
	printf("public key: %s\nfingerprint: %s\n", key, print);
	return EXIT_SUCCESS;
}

static void help_keygen(void)
{
	puts("usage: nrpc-gateway keygen [FILE] [--config FILE]\n"
	    "\n"
	    "Make the gateway's secret key, never over one that is there, and\n"
	    "print its public key, which every client needs. Without FILE it\n"
	    "goes where the configuration's key_file says, and belongs to the\n"
	    "configuration's user.");
}

/* ---- device ----------------------------------------------------------- */

static int device(const struct options *o)
{
	struct settings *s;
	int status = load(o, &s);

	if (status != 0)
		return status;
	status = become_user(s);
	if (status == 0)
		status = registry_cli(o, s);
	settings_free(s);
	return status;
}

/* ---- version, help ---------------------------------------------------- */

static int version(const struct options *o)
{
	(void)o;
	puts("nrpc-gateway " PACKAGE_VERSION);
	return EXIT_SUCCESS;
}

static void help_version(void)
{
	puts("usage: nrpc-gateway version\n\nPrint the program's version.");
}

static int help(const struct options *o);

static void help_help(void)
{
	puts("usage: nrpc-gateway help\n\nPrint the list of verbs.");
}

static const struct verb verbs[] = {
	{ "run", run, help_run, "run the gateway" },
	{ "check", check, help_check, "check the configuration" },
	{ "keygen", keygen, help_keygen, "make the gateway's key" },
	{ "device", device, registry_cli_help,
	    "add, list and revoke devices" },
	{ "version", version, help_version, "print the version" },
	{ "help", help, help_help, "print this" },
};

static int help(const struct options *o)
{
	(void)o;
	puts("usage: nrpc-gateway VERB [OPTION]...\n\n"
	    "Carries NRPC from nrpc-tunnel clients to Domino servers.\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		printf("  %-8s %s\n", verbs[i].name, verbs[i].summary);
	puts("\n'nrpc-gateway VERB --help' says more.");
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	static struct options o;
	char why[OPTIONS_WHY_MAX];

	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		if (options_parse(&o, argc - 2, argv + 2, why) != 0)
			return usage(why);
		o.argv = argv;
		if (!o.help)
			return verbs[i].run(&o);
		verbs[i].help();
		return EXIT_SUCCESS;
	}
	return usage(name[0] == '\0' ? "say what to do" :
	    "there is no such verb");
}
