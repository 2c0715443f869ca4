#include "config.h"

#include <string.h>

#include "common/err.h"
#include "server/devices.h"
#include "tests/unit/unit.h"

static struct device numbered(unsigned n)
{
	struct device d = { .name = "x" };

	/* The first bytes alike: the hash must not be all there is. */
	d.key[10] = (uint8_t)(n >> 8);
	d.key[31] = (uint8_t)n;
	d.created = n;
	return d;
}

static void test_a_key_is_found_among_ten_thousand(void)
{
	struct devices *d = devices_new();
	struct device one;

	one = numbered(1);
	CU_ASSERT_PTR_NULL(devices_find(d, one.key));
	for (unsigned i = 0; i < 300; i++) {
		one = numbered(i);
		CU_ASSERT_EQUAL_FATAL(devices_add(d, &one), 0);
	}
	for (unsigned i = 0; i < 10000; i++) {
		one = (struct device){ .created = i };
		memcpy(one.key, &i, sizeof(i));
		one.key[8] = 1;
		CU_ASSERT_EQUAL_FATAL(devices_add(d, &one), 0);
	}
	CU_ASSERT_EQUAL(devices_count(d), 10300);
	one = numbered(299);
	CU_ASSERT_EQUAL(devices_find(d, one.key)->created, 299);
	CU_ASSERT_EQUAL(devices_at(d, 10299)->created, 9999);
	CU_ASSERT_PTR_EQUAL(devices_find(d, devices_at(d, 777)->key),
	    devices_at(d, 777));
	one = numbered(300);
	CU_ASSERT_PTR_NULL(devices_find(d, one.key));
	devices_free(d);
}

static void test_a_key_is_taken_once(void)
{
	struct devices *d = devices_new();
	struct device one = numbered(7);

	CU_ASSERT_EQUAL(devices_add(d, &one), 0);
	CU_ASSERT_EQUAL(devices_add(d, &one), ERR_EXIST);
	CU_ASSERT_EQUAL(devices_count(d), 1);
	devices_free(d);
}

static void test_only_the_servers_given_are_allowed(void)
{
	struct devices *d = devices_new();
	struct device one = numbered(7);
	const struct device *found;

	CU_ASSERT_EQUAL(devices_add(d, &one), 0);
	found = devices_find(d, one.key);
	CU_ASSERT_FALSE(devices_allows(found, "CN=A/O=B"));
	CU_ASSERT_EQUAL(devices_add_server(d, "CN=A/O=B"), 0);
	CU_ASSERT_EQUAL(devices_add_server(d, "CN=C/O=B"), 0);
	CU_ASSERT_TRUE(devices_allows(found, "cn=c/o=b"));
	CU_ASSERT_FALSE(devices_allows(found, "CN=A/O=BB"));
	devices_free(d);
}

static void test_a_revoked_device_may_nothing(void)
{
	struct device one = numbered(7);

	one.all_servers = true;
	CU_ASSERT_TRUE(devices_allows(&one, "CN=A/O=B"));
	one.revoked = true;
	CU_ASSERT_FALSE(devices_allows(&one, "CN=A/O=B"));
}

static void test_names_are_one_plain_word(void)
{
	char name[DEVICES_NAME_MAX + 2];

	CU_ASSERT_TRUE(devices_name_valid("alice-laptop_2.x"));
	CU_ASSERT_FALSE(devices_name_valid(""));
	CU_ASSERT_FALSE(devices_name_valid("-x"));
	CU_ASSERT_FALSE(devices_name_valid("a b"));
	CU_ASSERT_FALSE(devices_name_valid("a\"b"));
	memset(name, 'a', sizeof(name));
	name[DEVICES_NAME_MAX] = '\0';
	CU_ASSERT_TRUE(devices_name_valid(name));
	name[DEVICES_NAME_MAX] = 'a';
	name[DEVICES_NAME_MAX + 1] = '\0';
	CU_ASSERT_FALSE(devices_name_valid(name));
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a key is found among ten thousand",
		  test_a_key_is_found_among_ten_thousand },
		{ "a key is taken once", test_a_key_is_taken_once },
		{ "only the servers given are allowed",
		  test_only_the_servers_given_are_allowed },
		{ "a revoked device may nothing",
		  test_a_revoked_device_may_nothing },
		{ "names are one plain word", test_names_are_one_plain_word },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
