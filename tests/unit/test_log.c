#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "tests/unit/unit.h"

static char last[4096];		/* the line that came last */
static enum log_level last_level;
static unsigned lines;

static void take(void *ctx, enum log_level level, const char *line)
{
	(void)ctx;
	snprintf(last, sizeof(last), "%s", line);
	last_level = level;
	lines++;
}

static void capture(void)
{
	lines = 0;
	last[0] = '\0';
	log_set_sink(take, NULL);
	log_set_level(LOG_INFO);
}

/* What one log_warn writes to standard error. */
static void written(char *out, size_t size)
{
	FILE *f = tmpfile();
	int keep = dup(STDERR_FILENO);
	size_t n;

	log_set_sink(NULL, NULL);
	log_set_level(LOG_INFO);
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	log_warn("lane slow lane=%d", 3);
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
	rewind(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
}

static void test_levels(void)
{
	capture();
	log_debug("hidden");
	CU_ASSERT_EQUAL(lines, 0);
	log_info("session open session=%s", "ab");
	CU_ASSERT_EQUAL(lines, 1);
	CU_ASSERT_STRING_EQUAL(last, "session open session=ab");
	CU_ASSERT_EQUAL(last_level, LOG_INFO);
	log_set_level(LOG_ERROR);
	log_warn("hidden");
	CU_ASSERT_EQUAL(lines, 1);
	log_error("disk full");
	CU_ASSERT_EQUAL(last_level, LOG_ERROR);
	log_set_level(LOG_DEBUG);
	CU_ASSERT_EQUAL(log_get_level(), LOG_DEBUG);
	log_debug("seen");
	CU_ASSERT_EQUAL(lines, 3);
}

static void test_level_names(void)
{
	static const char *const names[] = { "error", "warn", "info",
		"debug" };
	enum log_level level = LOG_WARN;

	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(log_level_parse(names[i], &level), 0);
		CU_ASSERT_EQUAL((int)level, i);
	}
	level = LOG_WARN;
	CU_ASSERT_EQUAL(log_level_parse("INFO", &level), ERR_CONFIG);
	CU_ASSERT_EQUAL(log_level_parse("", &level), ERR_CONFIG);
	CU_ASSERT_EQUAL(level, LOG_WARN);
}

static void test_one_line(void)
{
	char big[5000];

	capture();
	log_info("a %s", "b\nforged\r\x1b[0m\x7f");
	CU_ASSERT_STRING_EQUAL(last, "a b?forged??[0m?");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_info("%s", big);
	CU_ASSERT_EQUAL(strlen(last), 2047);
}

static void test_journal(void)
{
	char out[256];

	setenv("JOURNAL_STREAM", "8:1", 1);
	written(out, sizeof(out));
	unsetenv("JOURNAL_STREAM");
	CU_ASSERT_STRING_EQUAL(out, "<4>lane slow lane=3\n");
}

static void test_terminal(void)
{
	char out[256];
	int year, month, day, hour, minute, second, ms, end = 0;

	unsetenv("JOURNAL_STREAM");
	written(out, sizeof(out));
	CU_ASSERT_EQUAL(sscanf(out, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year,
	    &month, &day, &hour, &minute, &second, &ms, &end), 7);
	CU_ASSERT_STRING_EQUAL(out + end, "warn lane slow lane=3\n");
}

static void test_clean(void)
{
	char out[64];

	CU_ASSERT_STRING_EQUAL(log_clean(out, sizeof(out), "CN=Mail1/O=A", 12),
	    "CN=Mail1/O=A");
	CU_ASSERT_STRING_EQUAL(log_clean(out, sizeof(out),
	    "a b\"\\\n\0\x7f\xff", 9), "a\\x20b\\x22\\x5c\\x0a\\x00\\x7f\\xff");
	CU_ASSERT_STRING_EQUAL(log_clean(out, sizeof(out), NULL, 0), "");
}

static void test_clean_cut(void)
{
	static const char text[] = "abcdefgh\x01\x02\x03";
	char out[64];

	for (size_t size = 1; size < sizeof(out); size++) {
		size_t len;

		memset(out, '!', sizeof(out));
		log_clean(out, size, text, sizeof(text) - 1);
		len = strlen(out);
		CU_ASSERT_TRUE(len < size);
		if (size > 20) {	/* 8 + 3 * 4, and the NUL */
			CU_ASSERT_STRING_EQUAL(out,
			    "abcdefgh\\x01\\x02\\x03");
		} else if (size > 3) {
			CU_ASSERT_STRING_EQUAL(out + len - 3, "...");
		}
		CU_ASSERT_EQUAL(out[size], '!');
	}
	CU_ASSERT_STRING_EQUAL(log_clean(out, 9, "abcdefgh", 8), "abcdefgh");
	CU_ASSERT_STRING_EQUAL(log_clean(out, 9, "abcdefghi", 9), "abcde...");
	/* An escape is kept whole or not at all. */
	CU_ASSERT_STRING_EQUAL(log_clean(out, 9, "ab\x01" "cdefgh", 9),
	    "ab...");
}

static void test_allow(void)
{
	struct log_limit l = { 0 };
	unsigned swallowed = 99;

	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(log_allow(&l, 5000, 3, 1000, &swallowed));
		CU_ASSERT_EQUAL(swallowed, 0);
	}
	for (int i = 0; i < 7; i++)
		CU_ASSERT_FALSE(log_allow(&l, 5999, 3, 1000, &swallowed));
	CU_ASSERT_TRUE(log_allow(&l, 6000, 3, 1000, &swallowed));
	CU_ASSERT_EQUAL(swallowed, 7);
	CU_ASSERT_TRUE(log_allow(&l, 6001, 3, 1000, &swallowed));
	CU_ASSERT_EQUAL(swallowed, 0);
	CU_ASSERT_EQUAL(l.asked, 12);
}

static void test_err_text(void)
{
	for (int a = 0; a >= ERR_UNREACH; a--) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(err_text(a));
		for (int b = 0; b > a; b--)
			CU_ASSERT_STRING_NOT_EQUAL(err_text(a), err_text(b));
	}
	CU_ASSERT_STRING_EQUAL(err_text(1), "unknown error");
	CU_ASSERT_STRING_EQUAL(err_text(ERR_UNREACH - 1), "unknown error");
	CU_ASSERT_STRING_EQUAL(err_text(-2147483647 - 1), "unknown error");
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "lines below the chosen level are not written",
		    test_levels },
		{ "level names are read, others refused", test_level_names },
		{ "a call writes one line, whatever is in it",
		    test_one_line },
		{ "under the journal a line begins with its priority",
		    test_journal },
		{ "elsewhere a line begins with UTC time and level",
		    test_terminal },
		{ "foreign text becomes one printable word", test_clean },
		{ "foreign text is cut to any size, and marked",
		    test_clean_cut },
		{ "the rate limit opens again and tells what it swallowed",
		    test_allow },
		{ "every error code has words of its own", test_err_text },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
