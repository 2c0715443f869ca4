#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned print_failures(void)
{
	const CU_FailureRecord *f = CU_get_failure_list();
	unsigned n = 0;

	for (; f != NULL; f = f->pNext, n++)
		printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber,
		    f->strCondition);
	return n;
}

int unit_main(const struct unit_test *tests)
{
	CU_pSuite suite;
	unsigned count = 0, failed = 0;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	suite = CU_add_suite("unit", NULL, NULL);
	for (; tests[count].name != NULL; count++)
		if (CU_add_test(suite, tests[count].name, tests[count].fn) ==
		    NULL)
			return EXIT_FAILURE;
	printf("1..%u\n", count);
	for (unsigned i = 0; i < count; i++) {
		CU_pTest test = CU_get_test_at_pos(suite, i + 1);
		unsigned bad;

		fflush(stdout);
		CU_run_test(suite, test);
		bad = print_failures();
		if (bad > 0)
			failed++;
		printf("%sok %u - %s\n", bad > 0 ? "not " : "", i + 1,
		    tests[i].name);
	}
	CU_cleanup_registry();
	return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
