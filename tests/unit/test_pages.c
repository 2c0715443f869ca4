#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/pages.h"
#include "tests/unit/unit.h"

/* The byte that belongs at an offset. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251);
}

static int put(struct pages *p, uint64_t offset, size_t len)
{
	uint8_t *mem = malloc(len);
	int rc;

	for (size_t i = 0; i < len; i++)
		mem[i] = byte_at(offset + i);
	rc = pages_write(p, offset, mem, len);
	free(mem);
	return rc;
}

/* Are the right bytes at [offset, offset + len), copied and peeked? */
static bool check(const struct pages *p, uint64_t offset, size_t len)
{
	uint8_t *mem = malloc(len);
	bool ok = true;

	pages_read(p, offset, mem, len);
	for (size_t i = 0; i < len; i++)
		ok = ok && mem[i] == byte_at(offset + i);
	free(mem);
	while (len > 0) {
		const uint8_t *at;
		size_t n = pages_peek(p, offset, len, &at);

		if (n == 0 || n > len)
			return false;
		for (size_t i = 0; i < n; i++)
			ok = ok && at[i] == byte_at(offset + i);
		offset += n;
		len -= n;
	}
	return ok;
}

static void test_append(void)
{
	struct page_pool pool;
	struct pages p;
	const uint8_t *at;

	page_pool_init(&pool, 4);
	pages_init(&p, &pool);
	CU_ASSERT_EQUAL(put(&p, 0, 10), 0);
	CU_ASSERT_EQUAL(put(&p, 10, 20000), 0);
	CU_ASSERT_TRUE(check(&p, 0, 20010));
	CU_ASSERT_TRUE(check(&p, 4095, 2));
	CU_ASSERT_EQUAL(pool.used, 5);
	CU_ASSERT_EQUAL(pages_peek(&p, 4000, 5000, &at), 96);
	CU_ASSERT_EQUAL(pages_peek(&p, 4000, 0, &at), 0);
	CU_ASSERT_EQUAL(pages_write(&p, 20010, NULL, 0), 0);
	pages_fini(&p);
	CU_ASSERT_EQUAL(pool.used, 0);
	page_pool_fini(&pool);
}

static void test_scattered(void)
{
	struct page_pool pool;
	struct pages p;

	page_pool_init(&pool, 4);
	pages_init(&p, &pool);
	CU_ASSERT_EQUAL(put(&p, 100000, 3000), 0);
	CU_ASSERT_EQUAL(pool.used, 2);
	CU_ASSERT_EQUAL(put(&p, 5000, 95000), 0);
	CU_ASSERT_EQUAL(put(&p, 0, 5000), 0);
	CU_ASSERT_EQUAL(put(&p, 50000, 10000), 0);	/* again */
	CU_ASSERT_TRUE(check(&p, 0, 103000));
	pages_fini(&p);
	page_pool_fini(&pool);
}

static void test_release(void)
{
	struct page_pool pool;
	struct pages p;

	page_pool_init(&pool, 2);
	pages_init(&p, &pool);
	put(&p, 0, 10 * PAGES_SIZE);
	CU_ASSERT_EQUAL(pool.used, 10);
	pages_release(&p, PAGES_SIZE - 1);
	CU_ASSERT_EQUAL(pool.used, 10);
	pages_release(&p, PAGES_SIZE);
	CU_ASSERT_EQUAL(pool.used, 9);
	CU_ASSERT_EQUAL(pool.free_count, 1);
	pages_release(&p, 5 * PAGES_SIZE + 7);
	CU_ASSERT_EQUAL(p.front, 5 * PAGES_SIZE + 7);
	CU_ASSERT_EQUAL(pool.used, 5);
	CU_ASSERT_EQUAL(pool.free_count, 2);	/* keeps no more */
	CU_ASSERT_TRUE(check(&p, 5 * PAGES_SIZE + 7, 5 * PAGES_SIZE - 7));
	pages_release(&p, 10 * PAGES_SIZE);
	CU_ASSERT_EQUAL(pool.used, 0);
	pages_fini(&p);
	page_pool_fini(&pool);
}

static void test_far_jump(void)
{
	struct page_pool pool;
	struct pages p;
	uint64_t far = UINT64_C(1) << 61;

	page_pool_init(&pool, 2);
	pages_init(&p, &pool);
	pages_release(&p, 12345);		/* nothing was ever written */
	put(&p, 12345, 9000);
	CU_ASSERT_TRUE(check(&p, 12345, 9000));
	pages_release(&p, far);
	CU_ASSERT_EQUAL(pool.used, 0);
	CU_ASSERT_EQUAL(put(&p, far + 3, 9000), 0);
	CU_ASSERT_TRUE(check(&p, far + 3, 9000));
	pages_fini(&p);
	page_pool_fini(&pool);
}

/* A window that travels: written at its end, released at its front. */
static void test_steady(void)
{
	struct page_pool pool;
	struct pages p;
	size_t most = 0;

	page_pool_init(&pool, 100);
	pages_init(&p, &pool);
	for (uint64_t at = 0; at < 3000000; at += 1337) {
		uint64_t keep = at > 100000 ? at - 100000 : 0;

		if (put(&p, at, 1337) != 0)
			CU_FAIL_FATAL("write failed");
		pages_release(&p, keep);
		if (!check(&p, at, 1337) || !check(&p, keep, 100))
			CU_FAIL_FATAL("bytes differ");
		if (pool.used > most)
			most = pool.used;
	}
	CU_ASSERT_TRUE(most <= 27);
	CU_ASSERT_TRUE(pool.used + pool.free_count <= 27);
	CU_ASSERT_TRUE(p.ring_size <= 32);
	pages_fini(&p);
	page_pool_fini(&pool);
}

static void test_not_moved(void)
{
	struct page_pool pool;
	struct pages p;
	const uint8_t *before, *after;

	page_pool_init(&pool, 2);
	pages_init(&p, &pool);
	put(&p, 0, 100);
	pages_peek(&p, 0, 100, &before);
	put(&p, 100, 500000);			/* the ring grows */
	put(&p, 900000, 10);
	pages_peek(&p, 0, 100, &after);
	CU_ASSERT_PTR_EQUAL(before, after);
	CU_ASSERT_TRUE(check(&p, 0, 500100));
	pages_fini(&p);
	page_pool_fini(&pool);
}

static void test_shared_pool(void)
{
	struct page_pool pool;
	struct pages a, b;

	page_pool_init(&pool, 8);
	pages_init(&a, &pool);
	pages_init(&b, &pool);
	put(&a, 0, 3 * PAGES_SIZE);
	put(&b, PAGES_SIZE, 2 * PAGES_SIZE);
	CU_ASSERT_EQUAL(pool.used, 5);
	pages_fini(&a);
	CU_ASSERT_EQUAL(pool.used, 2);
	CU_ASSERT_EQUAL(pool.free_count, 3);
	put(&b, 3 * PAGES_SIZE, 3 * PAGES_SIZE);
	CU_ASSERT_EQUAL(pool.free_count, 0);
	CU_ASSERT_TRUE(check(&b, PAGES_SIZE, 5 * PAGES_SIZE));
	pages_fini(&b);
	CU_ASSERT_EQUAL(pool.used, 0);
	page_pool_fini(&pool);
	CU_ASSERT_EQUAL(pool.free_count, 0);
}

static void test_clear(void)
{
	struct page_pool pool;
	struct pages p;

	page_pool_init(&pool, 100);
	pages_init(&p, &pool);
	put(&p, 0, PAGES_SIZE + 10);
	pages_clear(&p, PAGES_SIZE + 10);
	CU_ASSERT_EQUAL(pool.used, 0);
	put(&p, PAGES_SIZE + 10, 30 * PAGES_SIZE);
	CU_ASSERT_TRUE(check(&p, PAGES_SIZE + 10, 30 * PAGES_SIZE));
	pages_clear(&p, 31 * PAGES_SIZE + 10);
	CU_ASSERT_EQUAL(pool.used, 0);
	CU_ASSERT_EQUAL(p.ring_size, 0);
	put(&p, 31 * PAGES_SIZE + 10, 20);
	CU_ASSERT_TRUE(check(&p, 31 * PAGES_SIZE + 10, 20));
	pages_clear(&p, 31 * PAGES_SIZE + 30);
	CU_ASSERT_TRUE(p.ring_size > 0);
	pages_fini(&p);
	page_pool_fini(&pool);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "what is appended can be read, over page ends",
		    test_append },
		{ "pieces may be written in any order, and twice",
		    test_scattered },
		{ "a page goes back when the front has passed it",
		    test_release },
		{ "the front may jump far ahead", test_far_jump },
		{ "a travelling window needs few pages and a small ring",
		    test_steady },
		{ "bytes stay where they are while others are written",
		    test_not_moved },
		{ "streams share the free pages of their pool",
		    test_shared_pool },
		{ "what is empty keeps no page, and no large ring",
		    test_clear },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
