#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/status.h"
#include "tests/unit/unit.h"

#define UP "{\"state\": \"up\", \"since_ms\": 61000, \"gateway\": \"https://g\"," \
	" \"noticed\": {\"last\": \"network changed: route\"," \
	" \"last_ms\": 3000}, \"listeners\": [{\"address\": \"127.0.0.1:1352\", \"server\": null}]}"

/* What status_print writes goes here and not into the test's report. */
static bool print(const char *text, bool *up, char *out, size_t out_len)
{
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO);
	size_t n;
	bool good;

	CU_ASSERT_FATAL(f != NULL && saved >= 0);
	fflush(stdout);
	dup2(fileno(f), STDOUT_FILENO);
	good = status_print(text, up);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	rewind(f);
	n = fread(out, 1, out_len - 1, f);
	out[n] = '\0';
	fclose(f);
	return good;
}

static void test_a_status_is_printed_for_people(void)
{
	char out[1024];
	bool up = false;

	CU_ASSERT_TRUE(print(UP, &up, out, sizeof(out)));
	CU_ASSERT_TRUE(up);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "up for 1 min 1 s"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "network changed: route, 3 s ago"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "127.0.0.1:1352 for any server"));
}

static void test_a_tunnel_that_is_down_is_told_apart(void)
{
	char out[1024];
	bool up = true;

	CU_ASSERT_TRUE(print("{\"state\": \"down\", \"reason\": \"no way\"}",
	    &up, out, sizeof(out)));
	CU_ASSERT_FALSE(up);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "(no way)"));
}

static void test_what_is_no_status_is_refused(void)
{
	static const char *const bad[] = {
		"", "x", "[]", "{}", "{\"state\": 1}", "{\"state\": \"up\""
	};
	char out[1024];
	bool up;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(print(bad[i], &up, out, sizeof(out)));
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a status is printed for people",
		    test_a_status_is_printed_for_people },
		{ "a tunnel that is down is told apart",
		    test_a_tunnel_that_is_down_is_told_apart },
		{ "what is no status is refused",
		    test_what_is_no_status_is_refused },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
