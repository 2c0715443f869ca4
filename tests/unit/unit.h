/*
 * Runs a table of CUnit tests and reports each as one TAP line, so that
 * `make check` counts and names them one by one.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <CUnit/CUnit.h>

struct unit_test {
	const char *name;	/* a sentence about behaviour */
	void (*fn)(void);
};

/*
 * Run tests[], which ends with a NULL name. Returns the exit status for main:
 * 0 when all passed.
 */
int unit_main(const struct unit_test *tests);

#endif
