#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"
#include "tests/unit/unit.h"

/* What the settings below have been given, in order. */
struct seen {
	char text[2048];
	bool out_of_memory;
};

static void note(struct seen *seen, const char *what, const char *argument,
    const char *value)
{
	size_t used = strlen(seen->text);

	snprintf(seen->text + used, sizeof(seen->text) - used, "%s(%s)=%s|",
	    what, argument ? argument : "", value);
}

static int set_listen(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	(void)why;
	note(ctx, "listen", argument, value);
	return 0;
}

static int set_path(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	struct seen *seen = ctx;

	(void)why;
	if (seen->out_of_memory)
		return ERR_NOMEM;
	note(ctx, "path", argument, value);
	return 0;
}

static int set_limit(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	uint64_t n;
	int rc = conf_uint(value, 1, 10, &n, why);

	if (rc == 0)
		note(ctx, "limit", argument, value);
	return rc;
}

static int set_address(void *ctx, const char *argument, const char *value,
    char why[CONF_WHY_MAX])
{
	(void)why;
	note(ctx, "address", argument, value);
	return 0;
}

static const struct conf_setting settings[] = {
	{ "gateway", "listen", false, true, set_listen, "", "ADDRESS" },
	{ "gateway", "path", false, false, set_path, "", "PATH" },
	{ "gateway", "limit", false, false, set_limit, "", "N" },
	{ "gateway", "verbose", false, false, set_path, "", NULL },
	{ "server", "address", true, true, set_address, "", "ADDRESS" },
	{ "server", "limit", true, false, set_limit, "", "N" },
	{ NULL, NULL, false, false, NULL, NULL, NULL }
};

static int on_section(void *ctx, const char *section, const char *argument,
    char why[CONF_WHY_MAX])
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->text);

	if (argument != NULL && strcmp(argument, "nobody") == 0) {
		snprintf(why, CONF_WHY_MAX, "is not a server's name");
		return ERR_CONFIG;
	}
	snprintf(seen->text + used, sizeof(seen->text) - used, "[%s %s]",
	    section, argument ? argument : "-");
	return 0;
}

static struct seen seen;
static char why[CONF_WHY_MAX];

static int parse_bytes(const char *text, size_t len)
{
	struct conf c = { .settings = settings, .ctx = &seen };

	memset(&seen, 0, sizeof(seen));
	why[0] = '\0';
	return conf_parse(&c, "g.conf", text, len, on_section, why);
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void check_good(const char *text, const char *expect)
{
	CU_ASSERT_EQUAL(parse(text), 0);
	CU_ASSERT_STRING_EQUAL(seen.text, expect);
	CU_ASSERT_STRING_EQUAL(why, "");
}

static void check_bad(const char *text, const char *expect)
{
	CU_ASSERT_EQUAL(parse(text), ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, expect);
	if (strcmp(why, expect) != 0)
		printf("# got: %s\n", why);
}

static void test_settings_arrive_in_order_with_their_section(void)
{
	check_good("[gateway]\nlisten = a:1\npath = /nrpc\nlisten=b:2\n"
	    "[server CN=Mail1/O=Acme]\naddress = m:1352\nlimit = 3\n",
	    "[gateway -]listen()=a:1|path()=/nrpc|listen()=b:2|"
	    "[server CN=Mail1/O=Acme]address(CN=Mail1/O=Acme)=m:1352|"
	    "limit(CN=Mail1/O=Acme)=3|");
}

static void test_an_empty_file_is_fine(void)
{
	check_good("", "");
	check_good("\n\n# nothing\n; at all", "");
}

static void test_sections_without_keys_are_noticed(void)
{
	check_good("[gateway]\n[server CN=A]\n",
	    "[gateway -][server CN=A]");
}

static void test_comments_indentation_and_line_ends_mean_nothing(void)
{
	check_good("\xef\xbb\xbf[gateway] ; ours\r\n# one\r\n\t; two\r\n"
	    "  path = /a#b;c ; three\r\n\tlisten = x\r\n  listen = y",
	    "[gateway -]path()=/a#b;c|listen()=x|listen()=y|");
}

static void test_brackets_may_be_part_of_an_argument(void)
{
	check_good("[server [::1]:1352]\naddress=x\n",
	    "[server [::1]:1352]address([::1]:1352)=x|");
	check_good("[ server\t CN=A B/O=C ]\n", "[server CN=A B/O=C]");
}

static void test_long_server_names_are_not_cut(void)
{
	char text[400], expect[400], name[256];

	memset(name, 'x', 255);
	memcpy(name, "CN=", 3);
	name[255] = '\0';
	snprintf(text, sizeof(text), "[server %s]\n", name);
	snprintf(expect, sizeof(expect), "[server %s]", name);
	check_good(text, expect);
}

static void test_an_unknown_key_is_named_with_the_nearest_one(void)
{
	check_bad("[gateway]\n\n  lisen = a\n",
	    "g.conf:3: unknown key 'lisen' in [gateway]; did you mean "
	    "'listen'?");
	check_bad("[gateway]\nadress = a\n",
	    "g.conf:2: unknown key 'adress' in [gateway]");
	check_bad("[server CN=A]\nadress = a\n",
	    "g.conf:2: unknown key 'adress' in [server]; did you mean "
	    "'address'?");
	check_bad("[gateway]\n= a\n",
	    "g.conf:2: there is no key before the '='");
}

static void test_an_unknown_section_is_named_with_the_nearest_one(void)
{
	check_bad("\n[gatway]\n",
	    "g.conf:2: unknown section [gatway]; did you mean [gateway]?");
	check_bad("[weather]\n", "g.conf:1: unknown section [weather]");
}

static void test_a_section_has_an_argument_if_and_only_if_it_takes_one(void)
{
	check_bad("[server]\n",
	    "g.conf:1: [server] needs an argument: [server NAME]");
	check_bad("[gateway two]\n",
	    "g.conf:1: [gateway] takes no argument, but is followed by "
	    "'two'");
	check_bad("[server nobody]\n",
	    "g.conf:1: [server nobody]: is not a server's name");
}

static void test_malformed_headings_are_refused(void)
{
	check_bad("[gateway\n",
	    "g.conf:1: a section's heading must end with ']'");
	check_bad("[gateway] x\n",
	    "g.conf:1: a section's heading must end with ']'");
	check_bad("[\n", "g.conf:1: a section's heading must end with ']'");
	check_bad("[]\n",
	    "g.conf:1: a section needs a name between the brackets");
	check_bad("[  ]\n",
	    "g.conf:1: a section needs a name between the brackets");
}

static void test_a_value_before_any_section_is_refused(void)
{
	check_bad("path = /\n",
	    "g.conf:1: 'path' stands before the first [section]");
}

static void test_a_line_that_is_nothing_is_refused_where_it_stands(void)
{
	check_bad("[gateway]\npath = /\nnonsense\nlisten = a\n",
	    "g.conf:3: the line is neither a [section], nor 'key = value', "
	    "nor a comment");
	/* The first mistake counts, though inih goes on after its own. */
	check_bad("[gateway]\nnonsense\nlisen = a\n",
	    "g.conf:2: the line is neither a [section], nor 'key = value', "
	    "nor a comment");
	check_bad("[gateway]\nlisen = a\nnonsense\n",
	    "g.conf:2: unknown key 'lisen' in [gateway]; did you mean "
	    "'listen'?");
}

static void test_only_repeatable_keys_may_be_repeated(void)
{
	check_bad("[gateway]\npath = /\npath = /\n",
	    "g.conf:3: 'path' is given a second time");
	check_bad("[gateway]\npath=/\n[server CN=A]\n[gateway]\npath=/\n",
	    "g.conf:5: 'path' is given a second time");
	check_good("[server CN=A]\nlimit=1\n[server CN=B]\nlimit=1\n",
	    "[server CN=A]limit(CN=A)=1|[server CN=B]limit(CN=B)=1|");
}

static void test_a_section_with_the_same_argument_begins_once(void)
{
	check_bad("[server CN=A]\n\n[server CN=B]\n[server  CN=A]\n",
	    "g.conf:4: [server CN=A] begins a second time; the first is in "
	    "line 1");
}

static void test_a_bad_value_is_reported_with_its_key_and_line(void)
{
	check_bad("[gateway]\n\nlimit = 11\n",
	    "g.conf:3: limit: must be a number from 1 to 10, not '11'");
	check_bad("[gateway]\nlimit =\n",
	    "g.conf:2: limit: must be a number from 1 to 10, not ''");
}

static void test_lines_up_to_the_limit_are_whole_and_longer_ones_refused(void)
{
	char text[700], value[600];

	memset(value, 'v', sizeof(value));
	snprintf(text, sizeof(text), "[gateway]\npath = %.191s\n", value);
	CU_ASSERT_EQUAL(parse(text), 0);
	CU_ASSERT_EQUAL(strlen(seen.text), strlen("[gateway -]path()=|") + 191);
	snprintf(text, sizeof(text), "[gateway]\npath = %.192s\n", value);
	check_bad(text,
	    "g.conf:2: the line is too long: 199 bytes, at most 198");
	snprintf(text, sizeof(text), "[server %.503s]\n", value);
	CU_ASSERT_EQUAL(parse(text), ERR_CONFIG);
	check_bad(text,
	    "g.conf:1: the line is too long: 512 bytes, at most 511");
	snprintf(text, sizeof(text), "[server %.502s]\n", value);
	CU_ASSERT_EQUAL(parse(text), 0);
}

static void test_nul_bytes_are_refused(void)
{
	static const char text[] = "[gateway]\npath = /a\0b\n";

	CU_ASSERT_EQUAL(parse_bytes(text, sizeof(text) - 1), ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why,
	    "g.conf:2: the line holds a NUL byte; is this a text file?");
}

static void test_too_many_sections_are_refused(void)
{
	static char text[8192];
	size_t used = 0;

	for (int i = 0; i < 257; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "[server CN=%d]\n", i);
	check_bad(text, "g.conf:257: more than 256 sections");
}

static void test_lack_of_memory_in_a_setting_is_passed_on(void)
{
	struct conf c = { .settings = settings, .ctx = &seen };
	static const char text[] = "[gateway]\npath = /\n";

	memset(&seen, 0, sizeof(seen));
	seen.out_of_memory = true;
	CU_ASSERT_EQUAL(conf_parse(&c, "g.conf", text, sizeof(text) - 1, NULL,
	    why), ERR_NOMEM);
	CU_ASSERT_STRING_EQUAL(why, "g.conf: no memory");
}

static void test_a_file_is_read_and_named_in_complaints(void)
{
	struct conf c = { .settings = settings, .ctx = &seen };
	char path[] = "/tmp/test_conf.XXXXXX", expect[CONF_WHY_MAX];
	static const char text[] = "[gateway]\nlimit = 99\n";
	int fd = mkstemp(path);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, sizeof(text) - 1),
	    (ssize_t)sizeof(text) - 1);
	close(fd);
	CU_ASSERT_EQUAL(conf_read(&c, path, NULL, why), ERR_CONFIG);
	snprintf(expect, sizeof(expect), "%s:2: limit: must be a number from "
	    "1 to 10, not '99'", path);
	CU_ASSERT_STRING_EQUAL(why, expect);
	unlink(path);
}

static void test_a_file_that_cannot_be_read_is_named_with_the_reason(void)
{
	struct conf c = { .settings = settings, .ctx = &seen };

	CU_ASSERT_EQUAL(conf_read(&c, "/nonexistent/g.conf", NULL, why),
	    ERR_IO);
	CU_ASSERT_STRING_EQUAL(why, "/nonexistent/g.conf: the configuration "
	    "cannot be read: No such file or directory");
	CU_ASSERT_EQUAL(conf_read(&c, "/tmp", NULL, why), ERR_IO);
	CU_ASSERT_STRING_EQUAL(why, "/tmp: the configuration cannot be read: "
	    "Is a directory");
}

static void test_options_set_the_same_settings(void)
{
	struct conf c = { .settings = settings, .ctx = &seen };

	memset(&seen, 0, sizeof(seen));
	CU_ASSERT_EQUAL(conf_option(&c, "gateway", "path", "/x", why), 0);
	CU_ASSERT_EQUAL(conf_option(&c, "gateway", "verbose", NULL, why), 0);
	CU_ASSERT_STRING_EQUAL(seen.text, "path()=/x|path()=yes|");
}

static void test_bad_options_are_named(void)
{
	struct conf c = { .settings = settings, .ctx = &seen };

	CU_ASSERT_EQUAL(conf_option(&c, "gateway", "limit", "0", why),
	    ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why,
	    "--limit: must be a number from 1 to 10, not '0'");
	CU_ASSERT_EQUAL(conf_option(&c, "gateway", "limit", NULL, why),
	    ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "--limit: needs a value (N)");
	CU_ASSERT_EQUAL(conf_option(&c, "gateway", "colour", "1", why),
	    ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "--colour: unknown option");
}

static void test_booleans_have_the_usual_words(void)
{
	bool b = false;

	CU_ASSERT_EQUAL(conf_bool("Yes", &b, why), 0);
	CU_ASSERT_TRUE(b);
	CU_ASSERT_EQUAL(conf_bool("off", &b, why), 0);
	CU_ASSERT_FALSE(b);
	CU_ASSERT_EQUAL(conf_bool("maybe", &b, why), ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "must be yes or no, not 'maybe'");
	CU_ASSERT_EQUAL(conf_bool("", &b, why), ERR_CONFIG);
}

static void test_numbers_are_decimal_and_within_their_bounds(void)
{
	static const char *const bad[] = {
		"", "-1", "+1", " 1", "1 ", "0x1", "1e3", "4", "101",
		"18446744073709551616", "99999999999999999999999"
	};
	uint64_t n = 0;

	CU_ASSERT_EQUAL(conf_uint("5", 5, 100, &n, why), 0);
	CU_ASSERT_EQUAL(n, 5);
	CU_ASSERT_EQUAL(conf_uint("100", 5, 100, &n, why), 0);
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(conf_uint("18446744073709551615", 0, UINT64_MAX, &n,
	    why), 0);
	CU_ASSERT_EQUAL(n, UINT64_MAX);
	n = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(conf_uint(bad[i], 5, 100, &n, why),
		    ERR_CONFIG);
	CU_ASSERT_EQUAL(n, 7);
}

static void test_durations_have_units_and_bounds(void)
{
	uint64_t ms = 0;

	CU_ASSERT_EQUAL(conf_duration("250ms", 1, 86400000, &ms, why), 0);
	CU_ASSERT_EQUAL(ms, 250);
	CU_ASSERT_EQUAL(conf_duration("25s", 1, 86400000, &ms, why), 0);
	CU_ASSERT_EQUAL(ms, 25000);
	CU_ASSERT_EQUAL(conf_duration("25", 1, 86400000, &ms, why), 0);
	CU_ASSERT_EQUAL(ms, 25000);
	CU_ASSERT_EQUAL(conf_duration("15 min", 1, 86400000, &ms, why), 0);
	CU_ASSERT_EQUAL(ms, 900000);
	CU_ASSERT_EQUAL(conf_duration("2h", 1, 86400000, &ms, why), 0);
	CU_ASSERT_EQUAL(ms, 7200000);
	CU_ASSERT_EQUAL(conf_duration("2 days", 1, 86400000, &ms, why),
	    ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why,
	    "must be like 250ms, 25s, 15min or 2h, not '2 days'");
	CU_ASSERT_EQUAL(conf_duration("18446744073709551615", 1, 86400000, &ms,
	    why), ERR_CONFIG);
	CU_ASSERT_EQUAL(conf_duration("25h", 500, 86400000, &ms, why),
	    ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "must be from 500ms to 24h, not '25h'");
	CU_ASSERT_EQUAL(ms, 7200000);
}

static void test_sizes_have_units_and_bounds(void)
{
	uint64_t n = 0;

	CU_ASSERT_EQUAL(conf_size("4096", 1, 1 << 30, &n, why), 0);
	CU_ASSERT_EQUAL(n, 4096);
	CU_ASSERT_EQUAL(conf_size("64k", 1, 1 << 30, &n, why), 0);
	CU_ASSERT_EQUAL(n, 65536);
	CU_ASSERT_EQUAL(conf_size("16M", 1, 1 << 30, &n, why), 0);
	CU_ASSERT_EQUAL(n, 16 << 20);
	CU_ASSERT_EQUAL(conf_size("16 Mb", 1, 1 << 30, &n, why), ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why,
	    "must be like 4096, 64k or 16M, not '16 Mb'");
	CU_ASSERT_EQUAL(conf_size("1", 4096, 1 << 20, &n, why), ERR_CONFIG);
	CU_ASSERT_STRING_EQUAL(why, "must be from 4k to 1M, not '1'");
	CU_ASSERT_EQUAL(n, 16 << 20);
}

static void test_a_string_replaces_the_one_before(void)
{
	char *s = NULL;

	CU_ASSERT_EQUAL(conf_string("one", &s), 0);
	CU_ASSERT_EQUAL(conf_string("two", &s), 0);
	CU_ASSERT_STRING_EQUAL(s, "two");
	free(s);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "settings arrive in order with their section",
		    test_settings_arrive_in_order_with_their_section },
		{ "an empty file is fine", test_an_empty_file_is_fine },
		{ "sections without keys are noticed",
		    test_sections_without_keys_are_noticed },
		{ "comments, indentation and line ends mean nothing",
		    test_comments_indentation_and_line_ends_mean_nothing },
		{ "brackets may be part of an argument",
		    test_brackets_may_be_part_of_an_argument },
		{ "long server names are not cut",
		    test_long_server_names_are_not_cut },
		{ "an unknown key is named with the nearest one",
		    test_an_unknown_key_is_named_with_the_nearest_one },
		{ "an unknown section is named with the nearest one",
		    test_an_unknown_section_is_named_with_the_nearest_one },
		{ "a section has an argument if and only if it takes one",
		    test_a_section_has_an_argument_if_and_only_if_it_takes_one },
		{ "malformed headings are refused",
		    test_malformed_headings_are_refused },
		{ "a value before any section is refused",
		    test_a_value_before_any_section_is_refused },
		{ "a line that is nothing is refused where it stands",
		    test_a_line_that_is_nothing_is_refused_where_it_stands },
		{ "only repeatable keys may be repeated",
		    test_only_repeatable_keys_may_be_repeated },
		{ "a section with the same argument begins once",
		    test_a_section_with_the_same_argument_begins_once },
		{ "a bad value is reported with its key and line",
		    test_a_bad_value_is_reported_with_its_key_and_line },
		{ "lines up to the limit are whole and longer ones refused",
		    test_lines_up_to_the_limit_are_whole_and_longer_ones_refused },
		{ "NUL bytes are refused", test_nul_bytes_are_refused },
		{ "too many sections are refused",
		    test_too_many_sections_are_refused },
		{ "lack of memory in a setting is passed on",
		    test_lack_of_memory_in_a_setting_is_passed_on },
		{ "a file is read and named in complaints",
		    test_a_file_is_read_and_named_in_complaints },
		{ "a file that cannot be read is named with the reason",
		    test_a_file_that_cannot_be_read_is_named_with_the_reason },
		{ "options set the same settings",
		    test_options_set_the_same_settings },
		{ "bad options are named", test_bad_options_are_named },
		{ "booleans have the usual words",
		    test_booleans_have_the_usual_words },
		{ "numbers are decimal and within their bounds",
		    test_numbers_are_decimal_and_within_their_bounds },
		{ "durations have units and bounds",
		    test_durations_have_units_and_bounds },
		{ "sizes have units and bounds",
		    test_sizes_have_units_and_bounds },
		{ "a string replaces the one before",
		    test_a_string_replaces_the_one_before },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
