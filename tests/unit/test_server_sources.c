/* Sources of strangers, and the networks that proxies are in. */
#include "config.h"

#include "server/sources.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/err.h"
#include "server/networks.h"
#include "tests/unit/unit.h"

static struct sources *s;
static struct sources_limits limits;
static uint8_t address[16];

static void setup(void)
{
	sources_defaults(&limits);
	limits.max_strangers = 3;
	limits.hello_rate = 10;
	limits.hello_burst = 20;
	CU_ASSERT_EQUAL_FATAL(sources_new(&s, &limits), 0);
}

static const uint8_t *from(const char *text)
{
	CU_ASSERT_TRUE_FATAL(networks_parse(text, address));
	sources_reduce(address);
	return address;
}

static const uint8_t *numbered(uint32_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "10.%u.%u.%u", n >> 16, n >> 8 & 255,
	    n & 255);
	return from(text);
}

static unsigned hellos(const char *text, unsigned count, uint64_t now_ms)
{
	unsigned n = 0;

	while (count-- > 0)
		n += sources_hello(s, text == NULL ? NULL : from(text),
		    now_ms) == SOURCES_OK;
	return n;
}

static void test_only_so_many_strangers_of_a_source(void)
{
	struct source *one;

	setup();
	one = sources_enter(s, from("192.0.2.1"), 0);
	CU_ASSERT_PTR_NOT_NULL(one);
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_FALSE(sources_is_full(s, from("192.0.2.1")));
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_TRUE(sources_is_full(s, from("192.0.2.1")));
	CU_ASSERT_PTR_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("192.0.2.2"), 0));
	sources_leave(s, one);
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_PTR_NULL(sources_enter(s, from("::ffff:192.0.2.1"), 0));
	sources_free(s);
}

static void test_an_ipv6_source_is_a_64(void)
{
	char text[SOURCES_TEXT_MAX];

	setup();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_PTR_NOT_NULL(sources_enter(s,
		    from("2001:db8:0:1::1"), 0));
	CU_ASSERT_PTR_NULL(sources_enter(s, from("2001:db8:0:1:9:8:7:6"), 0));
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("2001:db8:0:2::1"), 0));
	CU_ASSERT_STRING_EQUAL(sources_text(from("2001:db8:0:1:9:8:7:6"),
	    text), "2001:db8:0:1::/64");
	CU_ASSERT_STRING_EQUAL(sources_text(from("192.0.2.1"), text),
	    "192.0.2.1");
	sources_free(s);
}

static void test_a_flood_of_one_source_leaves_the_others_theirs(void)
{
	setup();
	CU_ASSERT_EQUAL(hellos("192.0.2.1", 100000, 1000), 20);
	CU_ASSERT_EQUAL(sources_hello(s, from("192.0.2.1"), 1000),
	    SOURCES_LIMIT);
	CU_ASSERT_EQUAL(hellos("192.0.2.2", 20, 1000), 20);
	CU_ASSERT_EQUAL(hellos(NULL, 20, 1000), 20);
	CU_ASSERT_EQUAL(hellos("192.0.2.1", 100, 2000), 10);
	sources_free(s);
}

static void test_all_sources_together_have_a_rate(void)
{
	unsigned n = 0;

	setup();
	for (uint32_t i = 0; i < 5000; i++)
		n += sources_hello(s, numbered(i), 1000) == SOURCES_OK;
	CU_ASSERT_EQUAL(n, 2 * limits.hello_rate_all);
	CU_ASSERT_EQUAL(sources_hello(s, numbered(6000), 1000),
	    SOURCES_LIMIT_ALL);
	CU_ASSERT_EQUAL(sources_hello(s, NULL, 1000), SOURCES_LIMIT_ALL);
	CU_ASSERT_EQUAL(sources_hello(s, NULL, 1001), SOURCES_OK);
	sources_free(s);
}

static void test_the_table_is_bounded_and_forgets_who_is_quiet(void)
{
	struct source *shared[4];

	setup();
	for (uint32_t i = 0; i < 3 * SOURCES_MAX; i++)
		(void)sources_hello(s, numbered(i), 1000);
	CU_ASSERT_EQUAL(sources_count(s), SOURCES_MAX);
	/* A minute later all have their burst again: nothing to remember. */
	for (uint32_t i = 0; i < SOURCES_MAX; i++)
		(void)sources_hello(s, from("192.0.2.1"), 61000 + i);
	for (uint32_t i = 0; i < SOURCES_MAX; i++)
		sources_leave(s, sources_enter(s, numbered(i), 61000));
	CU_ASSERT_TRUE(sources_count(s) <= SOURCES_MAX);
	/* All busy: those that come now have one place together. */
	for (uint32_t i = 0; i < SOURCES_MAX; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(sources_enter(s, numbered(i),
		    200000));
	CU_ASSERT_EQUAL(sources_count(s), SOURCES_MAX);
	for (uint32_t i = 0; i < 4; i++)
		shared[i] = sources_enter(s, numbered(100000 + i), 200000);
	CU_ASSERT_PTR_NOT_NULL(shared[2]);
	CU_ASSERT_PTR_NULL(shared[3]);
	sources_leave(s, shared[0]);
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, numbered(100009), 200000));
	sources_free(s);
}

static void test_other_limits_hold_for_what_comes(void)
{
	setup();
	limits.max_strangers = 1;
	limits.hello_burst = 1;
	sources_reconfigure(s, &limits);
	CU_ASSERT_PTR_NOT_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_PTR_NULL(sources_enter(s, from("192.0.2.1"), 0));
	CU_ASSERT_EQUAL(hellos("192.0.2.1", 5, 0), 1);
	sources_free(s);
}

/* ---- networks --------------------------------------------------------- */

static bool is_in(const struct networks *n, const char *text)
{
	uint8_t a[16];

	return networks_parse(text, a) && networks_contain(n, a);
}

static void test_networks_hold_their_addresses(void)
{
	struct networks n = { 0 };
	char why[NETWORKS_WHY_MAX];

	CU_ASSERT_FALSE(is_in(&n, "10.0.0.1"));
	CU_ASSERT_EQUAL(networks_add(&n, "10.0.0.0/12", why), 0);
	CU_ASSERT_EQUAL(networks_add(&n, "192.0.2.7", why), 0);
	CU_ASSERT_EQUAL(networks_add(&n, "2001:db8::/33", why), 0);
	CU_ASSERT_TRUE(is_in(&n, "10.15.255.255"));
	CU_ASSERT_FALSE(is_in(&n, "10.16.0.0"));
	CU_ASSERT_TRUE(is_in(&n, "::ffff:10.1.2.3"));
	CU_ASSERT_TRUE(is_in(&n, "192.0.2.7"));
	CU_ASSERT_FALSE(is_in(&n, "192.0.2.6"));
	CU_ASSERT_TRUE(is_in(&n, "2001:db8:7fff::1"));
	CU_ASSERT_FALSE(is_in(&n, "2001:db8:8000::1"));
	CU_ASSERT_EQUAL(networks_add(&n, "0.0.0.0/0", why), 0);
	CU_ASSERT_TRUE(is_in(&n, "203.0.113.1"));
	CU_ASSERT_FALSE(is_in(&n, "2001:db9::1"));
}

static void test_what_is_no_network_is_explained(void)
{
	static const char *const bad[] = { "", "/8", "10.0.0.0/33", "10/8",
	    "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "proxy",
	    "1.2.3.4:80", "[::1]", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17"
	    ".18.19.20.21.22.23.24.25.26.27.28.29.30.31.32/8" };
	struct networks n = { 0 };
	char why[NETWORKS_WHY_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why[0] = '\0';
		CU_ASSERT_EQUAL(networks_add(&n, bad[i], why), ERR_CONFIG);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "is no network"));
	}
	while (n.count < NETWORKS_MAX)
		CU_ASSERT_EQUAL_FATAL(networks_add(&n, "::1", why), 0);
	CU_ASSERT_EQUAL(networks_add(&n, "::1", why), ERR_LIMIT);
}

static void test_a_unix_socket_has_no_address(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET };
	uint8_t a[16];

	CU_ASSERT_FALSE(networks_address((struct sockaddr *)&un, a));
	in.sin_addr.s_addr = htonl(0xc0000201);
	CU_ASSERT_TRUE(networks_address((struct sockaddr *)&in, a));
	CU_ASSERT_EQUAL(memcmp(a, from("192.0.2.1"), 16), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "only so many strangers of a source",
		    test_only_so_many_strangers_of_a_source },
		{ "an IPv6 source is a /64", test_an_ipv6_source_is_a_64 },
		{ "a flood of one source leaves the others theirs",
		    test_a_flood_of_one_source_leaves_the_others_theirs },
		{ "all sources together have a rate",
		    test_all_sources_together_have_a_rate },
		{ "the table is bounded and forgets who is quiet",
		    test_the_table_is_bounded_and_forgets_who_is_quiet },
		{ "other limits hold for what comes",
		    test_other_limits_hold_for_what_comes },
		{ "networks hold their addresses",
		    test_networks_hold_their_addresses },
		{ "what is no network is explained",
		    test_what_is_no_network_is_explained },
		{ "a unix socket has no address",
		    test_a_unix_socket_has_no_address },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
