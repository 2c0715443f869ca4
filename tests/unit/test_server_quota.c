/* Streams of each device and of all. */
#include "config.h"

#include "server/quota.h"

#include <stddef.h>

#include "tests/unit/unit.h"

static const uint8_t alice[32] = "alice", bob[32] = "bob";

static void test_a_device_at_its_limit_is_in_nobodys_way(void)
{
	struct quota *q = quota_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	CU_ASSERT_EQUAL(quota_take(q, alice, 2, 9), QUOTA_OK);
	CU_ASSERT_EQUAL(quota_take(q, alice, 2, 9), QUOTA_OK);
	CU_ASSERT_EQUAL(quota_take(q, alice, 2, 9), QUOTA_DEVICE);
	CU_ASSERT_EQUAL(quota_take(q, bob, 2, 9), QUOTA_OK);
	quota_give(q, alice);
	CU_ASSERT_EQUAL(quota_take(q, alice, 2, 9), QUOTA_OK);
	quota_free(q);
}

static void test_all_devices_together_have_a_limit(void)
{
	struct quota *q = quota_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	CU_ASSERT_EQUAL(quota_take(q, alice, 9, 2), QUOTA_OK);
	CU_ASSERT_EQUAL(quota_take(q, bob, 9, 2), QUOTA_OK);
	CU_ASSERT_EQUAL(quota_take(q, bob, 9, 2), QUOTA_ALL);
	quota_give(q, alice);
	CU_ASSERT_EQUAL(quota_take(q, bob, 9, 2), QUOTA_OK);
	quota_give(q, bob);
	quota_give(q, bob);
	CU_ASSERT_EQUAL(quota_take(q, alice, 9, 1), QUOTA_OK);
	quota_free(q);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a device at its limit is in nobody's way",
		    test_a_device_at_its_limit_is_in_nobodys_way },
		{ "all devices together have a limit",
		    test_all_devices_together_have_a_limit },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
