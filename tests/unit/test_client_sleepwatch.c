#include "config.h"

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/sleepwatch.h"
#include "tests/unit/unit.h"

#define HOUR_MS 3600000u

static enum sleepwatch_what judge(uint64_t awake_ms, int64_t always_ms,
    uint64_t *away_ms)
{
	const struct sleepwatch_clocks before = { 5000, 90000 };
	const struct sleepwatch_clocks now = {
		before.awake_ms + awake_ms,
		(uint64_t)((int64_t)before.always_ms + always_ms)
	};

	*away_ms = 0;
	return sleepwatch_judge(&before, &now, away_ms);
}

static void test_a_tick_is_nothing(void)
{
	uint64_t away_ms;

	CU_ASSERT_EQUAL(judge(1000, 1000, &away_ms), SLEEPWATCH_NOTHING);
	CU_ASSERT_EQUAL(judge(1001, 1000, &away_ms), SLEEPWATCH_NOTHING);
	/* A busy machine. */
	CU_ASSERT_EQUAL(judge(2999, 2999, &away_ms), SLEEPWATCH_NOTHING);
}

static void test_a_clock_that_stood_still_means_sleep(void)
{
	uint64_t away_ms;

	CU_ASSERT_EQUAL(judge(1000, 1000 + HOUR_MS, &away_ms),
	    SLEEPWATCH_SLEPT);
	CU_ASSERT_EQUAL(away_ms, HOUR_MS);
	CU_ASSERT_EQUAL(judge(1000, 3000, &away_ms), SLEEPWATCH_SLEPT);
	CU_ASSERT_EQUAL(judge(1000, 2999, &away_ms), SLEEPWATCH_NOTHING);
}

static void test_a_tick_that_is_late_means_stopped(void)
{
	uint64_t away_ms;

	CU_ASSERT_EQUAL(judge(3000, 3000, &away_ms), SLEEPWATCH_STOPPED);
	CU_ASSERT_EQUAL(away_ms, 2000);
}

static void test_a_clock_that_is_set_back_is_no_sleep(void)
{
	uint64_t away_ms;

	CU_ASSERT_EQUAL(judge(1000, -50000, &away_ms), SLEEPWATCH_NOTHING);
	CU_ASSERT_EQUAL(judge(9000, -50000, &away_ms), SLEEPWATCH_STOPPED);
}

static void on_wake(void *ctx, enum sleepwatch_what what, uint64_t away_ms)
{
	uint64_t *told_ms = ctx;

	if (what == SLEEPWATCH_STOPPED)
		*told_ms = away_ms;
}

static void on_over(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

/* A process of its own, which is stopped: does it say so? */
static void be_stopped(int ready)
{
	struct sleepwatch *w;
	uint64_t told_ms = 0;
	uv_timer_t over;
	uv_loop_t loop;

	if (uv_loop_init(&loop) != 0 ||
	    sleepwatch_new(&w, &loop, on_wake, &told_ms) != 0)
		_exit(1);
	uv_timer_init(&loop, &over);
	uv_timer_start(&over, on_over, 2 * SLEEPWATCH_TICK_MS, 0);
	if (write(ready, "", 1) != 1)
		_exit(1);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&over, NULL);
	sleepwatch_free(w);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	_exit(told_ms >= SLEEPWATCH_LEAST_MS ? 0 : 2);
}

static void test_a_process_that_was_stopped_notices(void)
{
	const struct timespec least = { .tv_sec = 3, .tv_nsec = 500000000 };
	int status = 0, ready[2];
	pid_t pid;
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		be_stopped(ready[1]);
	CU_ASSERT_TRUE_FATAL(pid > 0);
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	CU_ASSERT_EQUAL(kill(pid, SIGSTOP), 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, WUNTRACED), pid);
	CU_ASSERT_TRUE(WIFSTOPPED(status));
	nanosleep(&least, NULL);
	CU_ASSERT_EQUAL(kill(pid, SIGCONT), 0);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		{ "a tick is nothing", test_a_tick_is_nothing },
		{ "a clock that stood still means sleep",
		    test_a_clock_that_stood_still_means_sleep },
		{ "a tick that is late means stopped",
		    test_a_tick_that_is_late_means_stopped },
		{ "a clock that is set back is no sleep",
		    test_a_clock_that_is_set_back_is_no_sleep },
		{ "a process that was stopped notices",
		    test_a_process_that_was_stopped_notices },
		{ NULL, NULL }
	};

	return unit_main(tests);
}
