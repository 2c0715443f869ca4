#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>
#include <uv.h>

#include "common/err.h"
#include "server/registry.h"
#include "server/registry_watch.h"
#include "tests/unit/unit.h"

static char dir[64], path[96], why[REGISTRY_WHY_MAX];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_server_registry.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/r.db", dir);
}

static void remove_dir(void)
{
	unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static struct registry *open_one(void)
{
	struct registry *r = NULL;

	CU_ASSERT_EQUAL_FATAL(registry_open(&r, path, true, why), 0);
	return r;
}

static struct devices *load(struct registry *r)
{
	struct devices *d = NULL;

	CU_ASSERT_EQUAL_FATAL(registry_load(r, &d, why), 0);
	return d;
}

static int add(struct registry *r, const char *name, uint8_t key)
{
	static char one[] = "CN=A/O=B", two[] = "CN=C/O=B";
	char *servers[] = { two, one };
	struct device d = { .servers = servers, .server_count = 2 };

	snprintf(d.name, sizeof(d.name), "%s", name);
	memset(d.key, key, sizeof(d.key));
	return registry_add(r, &d, why);
}

static void sql(const char *text)
{
	sqlite3 *db;

	CU_ASSERT_EQUAL_FATAL(sqlite3_open(path, &db), SQLITE_OK);
	CU_ASSERT_EQUAL(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_a_new_file_is_nobody_elses(void)
{
	struct registry *r = NULL;
	struct stat st;

	make_dir();
	CU_ASSERT_EQUAL(registry_open(&r, path, false, why), ERR_NOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	r = open_one();
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	registry_close(r);
	CU_ASSERT_EQUAL_FATAL(registry_open(&r, path, false, why), 0);
	registry_close(r);
	remove_dir();
}

static void test_what_was_added_is_loaded(void)
{
	struct registry *r;
	struct devices *d;
	const struct device *al;

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "bo", 2), 0);
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	registry_close(r);
	r = open_one();
	d = load(r);
	CU_ASSERT_EQUAL_FATAL(devices_count(d), 2);
	al = devices_at(d, 0);
	CU_ASSERT_STRING_EQUAL(al->name, "al");
	CU_ASSERT_EQUAL(al->key[31], 1);
	CU_ASSERT_TRUE(al->created > 1600000000);
	CU_ASSERT_EQUAL(al->last_seen, 0);
	CU_ASSERT_FALSE(al->revoked || al->all_servers);
	CU_ASSERT_EQUAL_FATAL(al->server_count, 2);
	CU_ASSERT_STRING_EQUAL(al->servers[0], "CN=A/O=B");
	devices_free(d);
	registry_close(r);
	remove_dir();
}

static void test_names_and_keys_are_used_once(void)
{
	struct registry *r;
	struct devices *d;

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	CU_ASSERT_EQUAL(add(r, "al", 2), ERR_EXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "'al'"));
	CU_ASSERT_EQUAL(add(r, "bo", 1), ERR_EXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "this key belongs"));
	CU_ASSERT_EQUAL(registry_revoke(r, "al", why), 0);
	CU_ASSERT_EQUAL(add(r, "al", 3), ERR_EXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "revoked"));
	d = load(r);
	CU_ASSERT_EQUAL(devices_count(d), 1);
	devices_free(d);
	registry_close(r);
	remove_dir();
}

static void test_revoking_is_for_ever(void)
{
	struct registry *r;
	struct devices *d;
	int64_t at;

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	CU_ASSERT_EQUAL(registry_revoke(r, "bo", why), ERR_NOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "'bo'"));
	CU_ASSERT_EQUAL(registry_revoke(r, "al", why), 0);
	sql("UPDATE device SET revoked = revoked - 100");
	d = load(r);
	CU_ASSERT_TRUE(devices_at(d, 0)->revoked);
	at = devices_at(d, 0)->revoked_at;
	devices_free(d);
	CU_ASSERT_EQUAL(registry_revoke(r, "al", why), 0);
	d = load(r);
	CU_ASSERT_EQUAL(devices_at(d, 0)->revoked_at, at);
	devices_free(d);
	registry_close(r);
	remove_dir();
}

static void test_servers_are_replaced_as_a_whole(void)
{
	struct device other = { .name = "al", .all_servers = true };
	struct registry *r;
	struct devices *d;

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	CU_ASSERT_EQUAL(registry_set_servers(r, &other, why), 0);
	d = load(r);
	CU_ASSERT_TRUE(devices_at(d, 0)->all_servers);
	CU_ASSERT_EQUAL(devices_at(d, 0)->server_count, 0);
	devices_free(d);
	snprintf(other.name, sizeof(other.name), "bo");
	CU_ASSERT_EQUAL(registry_set_servers(r, &other, why), ERR_NOENT);
	registry_close(r);
	remove_dir();
}

static void test_last_seen_is_written_once_a_minute(void)
{
	uint8_t keys[2][32];
	struct registry *r;
	struct devices *d;

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	memset(keys[0], 1, 32);
	memset(keys[1], 9, 32);		/* nobody's: no harm */
	CU_ASSERT_EQUAL(registry_seen(r, keys, 2, 1000, why), 0);
	CU_ASSERT_EQUAL(registry_seen(r, keys, 2, 1059, why), 0);
	d = load(r);
	CU_ASSERT_EQUAL(devices_at(d, 0)->last_seen, 1000);
	devices_free(d);
	CU_ASSERT_EQUAL(registry_seen(r, keys, 2, 1060, why), 0);
	d = load(r);
	CU_ASSERT_EQUAL(devices_at(d, 0)->last_seen, 1060);
	devices_free(d);
	registry_close(r);
	remove_dir();
}

static void test_the_version_tells_others_changes(void)
{
	struct registry *a, *b;
	uint32_t before, after;

	make_dir();
	a = open_one();
	b = open_one();
	CU_ASSERT_EQUAL(registry_version(a, &before, why), 0);
	CU_ASSERT_EQUAL(add(a, "al", 1), 0);
	CU_ASSERT_EQUAL(registry_version(a, &after, why), 0);
	CU_ASSERT_EQUAL(before, after);
	CU_ASSERT_EQUAL(add(b, "bo", 2), 0);
	CU_ASSERT_EQUAL(registry_version(a, &after, why), 0);
	CU_ASSERT_NOT_EQUAL(before, after);
	CU_ASSERT_TRUE(registry_is_current(a));
	unlink(path);
	CU_ASSERT_FALSE(registry_is_current(a));
	registry_close(a);
	registry_close(b);
	remove_dir();
}

static void test_what_is_no_registry_is_left_alone(void)
{
	struct registry *r;
	FILE *f;

	make_dir();
	sql("CREATE TABLE other (x)");
	CU_ASSERT_EQUAL(registry_open(&r, path, true, why), ERR_STATE);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "another program"));
	unlink(path);
	registry_close(open_one());
	sql("PRAGMA user_version = 99");
	CU_ASSERT_EQUAL(registry_open(&r, path, true, why), ERR_STATE);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "99"));
	f = fopen(path, "w");
	fputs("this is not a database, but long enough to be read as one. "
	    "this is not a database, but long enough to be read as one.", f);
	fclose(f);
	CU_ASSERT_EQUAL(registry_open(&r, path, true, why), ERR_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, path));
	remove_dir();
}

static void test_ten_thousand_devices_are_no_burden(void)
{
	struct registry *r;
	struct devices *d;

	make_dir();
	r = open_one();
	sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
	    " WHERE i < 10000) INSERT INTO device (name, key, created)"
	    " SELECT 'device-' || i, randomblob(32), i FROM n");
	d = load(r);
	CU_ASSERT_EQUAL(devices_count(d), 10000);
	devices_free(d);
	registry_close(r);
	remove_dir();
}

/* ---- watching --------------------------------------------------------- */

struct watching {
	uv_loop_t loop;
	struct registry_watch *watch;
	struct devices *devices;
	unsigned count;
};

static void on_devices(void *ctx, struct devices *devices)
{
	struct watching *w = ctx;

	devices_free(w->devices);
	w->devices = devices;
	w->count++;
}

static void start(struct watching *w)
{
	static const struct registry_watch_ops ops = {
		.on_devices = on_devices,
	};

	memset(w, 0, sizeof(*w));
	uv_loop_init(&w->loop);
	CU_ASSERT_EQUAL_FATAL(registry_watch_new(&w->watch, &w->loop,
	    open_one(), path, &ops, w), 0);
}

/* Run the loop until there were so many snapshots, or the time is over. */
static bool wait_for(struct watching *w, unsigned count, uint64_t ms)
{
	uint64_t until = uv_hrtime() / 1000000 + ms;

	while (w->count < count && uv_hrtime() / 1000000 < until) {
		uv_run(&w->loop, UV_RUN_NOWAIT);
		usleep(2000);
	}
	return w->count >= count;
}

static void stop(struct watching *w)
{
	registry_watch_free(w->watch);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	CU_ASSERT_EQUAL(uv_loop_close(&w->loop), 0);
	devices_free(w->devices);
}

static void test_a_change_is_told_within_a_second(void)
{
	struct watching w;
	struct registry *r;

	make_dir();
	start(&w);
	CU_ASSERT_TRUE(wait_for(&w, 1, 1000));
	CU_ASSERT_EQUAL(devices_count(w.devices), 0);
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	CU_ASSERT_TRUE(wait_for(&w, 2, 1000));
	CU_ASSERT_EQUAL(devices_count(w.devices), 1);
	registry_close(r);
	CU_ASSERT_FALSE(wait_for(&w, 3, 1200));
	stop(&w);
	remove_dir();
}

static void test_what_was_seen_is_written_and_is_no_change(void)
{
	struct watching w;
	struct registry *r;
	struct devices *d;
	uint8_t key[32];

	make_dir();
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	start(&w);
	CU_ASSERT_TRUE(wait_for(&w, 1, 1000));
	memset(key, 1, sizeof(key));
	registry_watch_seen(w.watch, key);
	CU_ASSERT_FALSE(wait_for(&w, 2, 1300));
	d = load(r);
	CU_ASSERT_TRUE(devices_at(d, 0)->last_seen > 0);
	devices_free(d);
	registry_close(r);
	stop(&w);
	remove_dir();
}

static void test_a_registry_that_goes_keeps_the_old_devices(void)
{
	struct watching w;
	struct registry *r;
	char aside[128];

	make_dir();
	snprintf(aside, sizeof(aside), "%s.aside", path);
	r = open_one();
	CU_ASSERT_EQUAL(add(r, "al", 1), 0);
	registry_close(r);
	start(&w);
	CU_ASSERT_TRUE(wait_for(&w, 1, 1000));
	CU_ASSERT_EQUAL(rename(path, aside), 0);
	registry_watch_reload(w.watch, path);
	CU_ASSERT_FALSE(wait_for(&w, 2, 700));
	CU_ASSERT_EQUAL(devices_count(w.devices), 1);
	CU_ASSERT_EQUAL(rename(aside, path), 0);
	CU_ASSERT_TRUE(wait_for(&w, 2, 1000));
	CU_ASSERT_EQUAL(devices_count(w.devices), 1);
	stop(&w);
	remove_dir();
}

/* After the loop's timers, and before it hears of any work that is done. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct watching *w = prepare->data;

	registry_watch_free(w->watch);
	w->watch = NULL;
	uv_close((uv_handle_t *)prepare, NULL);
}

static void test_a_watch_can_be_freed_at_work(void)
{
	struct watching w;
	uv_prepare_t prepare;

	make_dir();
	start(&w);
	uv_prepare_init(&w.loop, &prepare);
	prepare.data = &w;
	uv_prepare_start(&prepare, on_prepare);
	uv_run(&w.loop, UV_RUN_DEFAULT);
	CU_ASSERT_PTR_NULL(w.watch);
	stop(&w);
	CU_ASSERT_EQUAL(w.count, 0);
	remove_dir();
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a new file is nobody else's",
		  test_a_new_file_is_nobody_elses },
		{ "what was added is loaded", test_what_was_added_is_loaded },
		{ "names and keys are used once",
		  test_names_and_keys_are_used_once },
		{ "revoking is for ever", test_revoking_is_for_ever },
		{ "servers are replaced as a whole",
		  test_servers_are_replaced_as_a_whole },
		{ "last_seen is written once a minute",
		  test_last_seen_is_written_once_a_minute },
		{ "the version tells others' changes",
		  test_the_version_tells_others_changes },
		{ "what is no registry is left alone",
		  test_what_is_no_registry_is_left_alone },
		{ "ten thousand devices are no burden",
		  test_ten_thousand_devices_are_no_burden },
		{ "a change is told within a second",
		  test_a_change_is_told_within_a_second },
		{ "what was seen is written and is no change",
		  test_what_was_seen_is_written_and_is_no_change },
		{ "a registry that goes keeps the old devices",
		  test_a_registry_that_goes_keeps_the_old_devices },
		{ "a watch can be freed at work",
		  test_a_watch_can_be_freed_at_work },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
