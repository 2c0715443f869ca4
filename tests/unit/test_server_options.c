#include "config.h"

#include <string.h>

#include "common/err.h"
#include "server/options.h"
#include "tests/unit/unit.h"

static struct options o;
static char why[OPTIONS_WHY_MAX];

static int parse(int argc, const char *const *argv)
{
	char *copy[80];

	memcpy(copy, argv, (size_t)argc * sizeof(*argv));
	return options_parse(&o, argc, copy, why);
}

#define PARSE(...) \
	parse((int)(sizeof((const char *[]){ __VA_ARGS__ }) / \
	    sizeof(char *)), (const char *[]){ __VA_ARGS__ })

static void test_words_flags_and_values_are_told_apart(void)
{
	CU_ASSERT_EQUAL(PARSE("add", "--server", "CN=A/O=B", "al",
	    "--server=CN=C/O=B", "KEY=", "--json", "--all-servers"), 0);
	CU_ASSERT_EQUAL(o.word_count, 3);
	CU_ASSERT_STRING_EQUAL(o.words[2], "KEY=");
	CU_ASSERT_EQUAL(o.server_count, 2);
	CU_ASSERT_STRING_EQUAL(o.servers[1], "CN=C/O=B");
	CU_ASSERT_TRUE(o.json && o.all_servers && !o.help);
	CU_ASSERT_STRING_EQUAL(o.file, SETTINGS_FILE);
}

static void test_settings_are_options_with_hyphens(void)
{
	CU_ASSERT_EQUAL(PARSE("--key-file", "k", "--listen=systemd",
	    "--config", "f"), 0);
	CU_ASSERT_EQUAL(o.setting_count, 2);
	CU_ASSERT_STRING_EQUAL(o.settings[0].key, "key_file");
	CU_ASSERT_STRING_EQUAL(o.settings[0].value, "k");
	CU_ASSERT_STRING_EQUAL(o.settings[1].key, "listen");
	CU_ASSERT_STRING_EQUAL(o.file, "f");
}

static void test_what_is_no_option_is_refused(void)
{
	CU_ASSERT_EQUAL(PARSE("--lisen", "x"), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "--lisen"));
	CU_ASSERT_EQUAL(PARSE("--listen"), ERR_CONFIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "needs a value"));
	CU_ASSERT_EQUAL(PARSE("-x"), ERR_CONFIG);
	CU_ASSERT_EQUAL(PARSE("--address", "x"), ERR_CONFIG);
}

static void test_two_hyphens_end_the_options(void)
{
	CU_ASSERT_EQUAL(PARSE("--", "--json", "-x"), 0);
	CU_ASSERT_EQUAL(o.word_count, 2);
	CU_ASSERT_FALSE(o.json);
}

static void test_too_many_are_refused(void)
{
	const char *words[OPTIONS_MAX + 1], *servers[2 * OPTIONS_MAX + 2];

	for (size_t i = 0; i <= OPTIONS_MAX; i++) {
		words[i] = "w";
		servers[2 * i] = "--server";
		servers[2 * i + 1] = "s";
	}
	CU_ASSERT_EQUAL(parse(OPTIONS_MAX, words), 0);
	CU_ASSERT_EQUAL(parse(OPTIONS_MAX + 1, words), ERR_CONFIG);
	CU_ASSERT_EQUAL(parse(76, servers), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "words, flags and values are told apart",
		  test_words_flags_and_values_are_told_apart },
		{ "settings are options with hyphens",
		  test_settings_are_options_with_hyphens },
		{ "what is no option is refused",
		  test_what_is_no_option_is_refused },
		{ "two hyphens end the options",
		  test_two_hyphens_end_the_options },
		{ "too many are refused", test_too_many_are_refused },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
