#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/options.h"
#include "client/setup.h"
#include "common/err.h"
#include "tests/unit/unit.h"

#define KEY "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define GATEWAY "[gateway]\nurl = https://mail.example.com/nrpc\nkey = " KEY \
	"\n[device]\nkey_file = /k\n"
#define ARGUMENTS_MAX 8

static const struct options_verb run_verb = {
	.name = "run", .what = "runs", .config = true
};
static const char *const few[] = { "key-file", NULL };
static const struct options_verb few_verb = {
	.name = "keygen", .what = "makes", .only = few, .json = true
};

static struct setup setup;
static struct options options;
static char why[CONF_WHY_MAX];
static char path[] = "/tmp/test_client_setup.XXXXXX";

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* Parse words up to NULL; the file is used if there is text for it. */
static int parse(const struct options_verb *verb, const char *const *words)
{
	char *argv[ARGUMENTS_MAX];
	int argc = 0;

	for (; words[argc] != NULL; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	why[0] = '\0';
	return options_parse(&options, verb, argc, argv, why);
}

static int load(const char *text, const char *const *words)
{
	int rc = parse(&run_verb, words);

	CU_ASSERT_EQUAL_FATAL(rc, 0);
	write_file(text);
	options.config_path = path;
	rc = setup_load(&setup, &options, why);
	if (rc == 0)
		rc = setup_complete(&setup, why);
	return rc;
}

#define LOAD(text, ...) load(text, (const char *const[]){ __VA_ARGS__ })
#define PARSE(verb, ...) parse(verb, (const char *const[]){ __VA_ARGS__ })

/* It fails, and the complaint names the place and holds the hint. */
static void fails(int rc, const char *where, const char *hint)
{
	CU_ASSERT_EQUAL(rc, ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, where));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, hint));
	if (strstr(why, where) == NULL || strstr(why, hint) == NULL)
		printf("# said: %s\n", why);
	setup_free(&setup);
}

static void test_one_listener_on_loopback_is_the_default(void)
{
	CU_ASSERT_EQUAL(LOAD(GATEWAY, NULL), 0);
	CU_ASSERT_EQUAL(setup.listen_count, 1);
	CU_ASSERT_STRING_EQUAL(setup.listens[0].address, "127.0.0.1:1352");
	CU_ASSERT_PTR_NULL(setup.listens[0].server);
	CU_ASSERT_EQUAL(setup.connect_timeout_ms, 10000);
	setup_free(&setup);
}

static void test_the_file_sets_everything(void)
{
	CU_ASSERT_EQUAL(LOAD(GATEWAY
	    "[listen 127.0.0.1:1353]\nserver = CN=Mail1/O=Acme\n"
	    "[listen [::1]:1354]\nserver = auto\n"
	    "[client]\nhold = 10s\nmax_streams = 7\nlog_level = debug\n"
	    "status_socket = /s\nbody_max = 64k\n"
	    "body_max_open = 2M\nduplex = off\n", NULL), 0);
	CU_ASSERT_EQUAL(setup.listen_count, 2);
	CU_ASSERT_STRING_EQUAL(setup.listens[0].server, "CN=Mail1/O=Acme");
	CU_ASSERT_PTR_NULL(setup.listens[1].server);
	CU_ASSERT_EQUAL(setup.lanes.hold_ms, 10000);
	CU_ASSERT_EQUAL(setup.max_streams, 7);
	CU_ASSERT_EQUAL(setup.log_level, LOG_DEBUG);
	CU_ASSERT_EQUAL(setup.lanes.body_max, 65536);
	CU_ASSERT_EQUAL(setup.lanes.body_max_open, 2097152);
	CU_ASSERT_EQUAL(setup.lanes.duplex_after, 0);
	CU_ASSERT_STRING_EQUAL(setup.status_socket, "/s");
	CU_ASSERT_EQUAL(setup.gateway_key[0], 1);
	setup_free(&setup);
}

static void test_options_win_over_the_file(void)
{
	CU_ASSERT_EQUAL(LOAD(GATEWAY "[client]\nhold = 10s\n"
	    "[listen 127.0.0.1:1353]\nserver = auto\n",
	    "--hold", "20s", "--url=https://other.example:8443/x/",
	    "--listen", "127.0.0.1:0=CN=A/O=B", NULL), 0);
	CU_ASSERT_EQUAL(setup.lanes.hold_ms, 20000);
	CU_ASSERT_STRING_EQUAL(setup.url, "https://other.example:8443/x");
	CU_ASSERT_EQUAL(setup.listen_count, 1);
	CU_ASSERT_STRING_EQUAL(setup.listens[0].server, "CN=A/O=B");
	setup_free(&setup);
}

static void test_a_forbidden_listener_is_named_by_file_and_line(void)
{
	static const char listen[] = "[listen 192.0.2.1:1352]\n"
	    "server = auto\n";
	char text[512], where[80];

	snprintf(text, sizeof(text), "%s%s", GATEWAY, listen);
	snprintf(where, sizeof(where), "%s:6:", path);
	fails(LOAD(text, NULL), where, "allow_remote = yes");
	fails(LOAD(GATEWAY, "--listen", "0.0.0.0:1", NULL), "--listen",
	    "allow_remote");
}

static void test_permission_may_stand_after_what_it_permits(void)
{
	CU_ASSERT_EQUAL(LOAD(GATEWAY "[listen 192.0.2.1:1352]\n"
	    "server = auto\n[client]\nallow_remote = yes\n", NULL), 0);
	setup_free(&setup);
	CU_ASSERT_EQUAL(LOAD(GATEWAY "[listen 192.0.2.1:1352]\n"
	    "server = auto\n", "--allow-remote", NULL), 0);
	setup_free(&setup);
}

static void test_a_permission_can_be_taken_back_by_an_option(void)
{
	fails(LOAD(GATEWAY "[listen 192.0.2.1:1352]\nserver = auto\n"
	    "[client]\nallow_remote = yes\n", "--allow-remote=no", NULL),
	    ":6:", "allow_remote");
}

static void test_plain_http_is_for_loopback_and_by_permission_only(void)
{
	fails(LOAD(GATEWAY, "--url", "http://127.0.0.1:8080/nrpc", NULL),
	    "--url", "allow_plain");
	fails(LOAD(GATEWAY, "--url", "http://mail.example.com/nrpc",
	    "--allow-plain", NULL), "--url", "https://");
	CU_ASSERT_EQUAL(LOAD(GATEWAY, "--url", "http://localhost:8080/nrpc",
	    "--allow-plain", NULL), 0);
	setup_free(&setup);
}

static void test_odd_urls_are_refused(void)
{
	static const char *const bad[] = {
		"mail.example.com", "ftp://mail.example.com/", "https://",
		"https:///nrpc", "https://a:b@mail.example.com/",
		"https://mail.example.com/?x", "https://mail.example.com/ x",
		"https://mail.example.com/#x", "https://host:0/",
		"https://host:99999/"
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		fails(LOAD(GATEWAY, "--url", bad[i], NULL), "--url", "");
}

static void test_a_bad_value_is_named_by_file_and_line(void)
{
	fails(LOAD(GATEWAY "[client]\nhold = long\n", NULL), ":7:", "hold");
	fails(LOAD(GATEWAY "[client]\nholt = 5s\n", NULL), ":7:", "hold");
	fails(LOAD(GATEWAY "[listen 127.0.0.1:1352]\nserver = Mail1\n", NULL),
	    ":7:", "CN=Mail1/O=Acme");
	fails(LOAD(GATEWAY "[listen mail:1352]\nserver = auto\n", NULL),
	    ":6:", "127.0.0.1:1352");
}

static void test_one_address_cannot_be_given_twice(void)
{
	fails(LOAD(GATEWAY, "--listen", "127.0.0.1", "--listen",
	    "127.0.0.1:1352", NULL), "--listen", "twice");
	CU_ASSERT_EQUAL(LOAD(GATEWAY, "--listen", "127.0.0.1:0", "--listen",
	    "127.0.0.1:0", NULL), 0);
	setup_free(&setup);
}

static void test_what_run_needs_is_asked_for(void)
{
	fails(LOAD("[client]\nhold = 5s\n", NULL), "gateway", "--url");
	fails(LOAD("[gateway]\nurl = https://a/\n", NULL), "public key",
	    "--gateway-key");
}

static void test_a_missing_file_is_an_error_when_it_was_asked_for(void)
{
	CU_ASSERT_EQUAL(PARSE(&run_verb, "--config", "/nonexistent/x", NULL),
	    0);
	CU_ASSERT_NOT_EQUAL(setup_load(&setup, &options, why), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "/nonexistent/x"));
	setup_free(&setup);
}

static void test_unknown_words_are_refused(void)
{
	CU_ASSERT_EQUAL(PARSE(&run_verb, "--bogus", NULL), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "--bogus"));
	CU_ASSERT_EQUAL(PARSE(&run_verb, "bogus", NULL), ERR_CONFIG);
	CU_ASSERT_EQUAL(PARSE(&run_verb, "--hold", NULL), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "--hold needs a value"));
	CU_ASSERT_EQUAL(PARSE(&run_verb, "--json", NULL), ERR_CONFIG);
	CU_ASSERT_EQUAL(PARSE(&run_verb, "--hold", "1s", "--hold", "2s",
	    NULL), ERR_CONFIG);
}

static void test_a_verb_takes_only_its_own_options(void)
{
	CU_ASSERT_EQUAL(PARSE(&few_verb, "--url", "https://a/", NULL),
	    ERR_CONFIG);
	CU_ASSERT_EQUAL(PARSE(&few_verb, "--config", "x", NULL), ERR_CONFIG);
	CU_ASSERT_EQUAL(PARSE(&few_verb, "--key-file", "k", "--json", NULL),
	    0);
	CU_ASSERT_TRUE(options.json);
	CU_ASSERT_EQUAL(PARSE(&few_verb, "--help", NULL), 0);
	CU_ASSERT_TRUE(options.help);
}

static void test_help_names_every_option_in_80_columns(void)
{
	char *text = NULL;
	size_t len = 0, column = 0, widest = 0;
	FILE *f = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	options_help(&run_verb, f);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--gateway-key BASE64"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--listen ADDRESS[=SERVER]"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "--allow-remote "));
	CU_ASSERT_PTR_NULL(strstr(text, "--server"));
	for (size_t i = 0; i < len; i++) {
		column = text[i] == '\n' ? 0 : column + 1;
		widest = column > widest ? column : widest;
	}
	CU_ASSERT(widest <= 80);
	free(text);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "one listener on loopback is the default",
		    test_one_listener_on_loopback_is_the_default },
		{ "the file sets everything", test_the_file_sets_everything },
		{ "options win over the file", test_options_win_over_the_file },
		{ "a forbidden listener is named by file and line",
		    test_a_forbidden_listener_is_named_by_file_and_line },
		{ "a permission may stand after what it permits",
		    test_permission_may_stand_after_what_it_permits },
		{ "a permission can be taken back by an option",
		    test_a_permission_can_be_taken_back_by_an_option },
		{ "plain http is for loopback and by permission only",
		    test_plain_http_is_for_loopback_and_by_permission_only },
		{ "odd URLs are refused", test_odd_urls_are_refused },
		{ "a bad value is named by file and line",
		    test_a_bad_value_is_named_by_file_and_line },
		{ "one address cannot be given twice",
		    test_one_address_cannot_be_given_twice },
		{ "what run needs is asked for",
		    test_what_run_needs_is_asked_for },
		{ "a missing file is an error when it was asked for",
		    test_a_missing_file_is_an_error_when_it_was_asked_for },
		{ "unknown words are refused", test_unknown_words_are_refused },
		{ "a verb takes only its own options",
		    test_a_verb_takes_only_its_own_options },
		{ "help names every option in 80 columns",
		    test_help_names_every_option_in_80_columns },
		{ NULL, NULL }
	};
	int fd = mkstemp(path), status;

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	status = unit_main(tests);
	unlink(path);
	return status;
}
