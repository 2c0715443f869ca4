#!/bin/sh
# Which lines of the engine do unit tests and simulation run?
#
#	coverage.sh SOURCE-DIRECTORY
#
# Builds with gcov's counters in ./coverage, runs the tests there, prints a
# table, and fails when less than $COVERAGE_LEAST percent are run. What gcov
# says of each line is then in ./coverage/*.gcov.
set -eu

source=$(cd "$1" && pwd)
least=${COVERAGE_LEAST:-95}
jobs=${COVERAGE_JOBS:-$(getconf _NPROCESSORS_ONLN)}

mkdir -p coverage
cd coverage
echo "building and testing in $PWD; what is said goes to coverage.log"
{
	test -f Makefile || "$source/configure" \
	    CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage
	find . -name '*.gcda' -exec rm -f {} +
	make -j"$jobs" coverage-run
} >coverage.log 2>&1 || {
	tail -n 20 coverage.log >&2
	exit 1
}

# The platform (files, sockets, configuration) is in another library.
gcov -o common common/libengine_a-*.gcno 2>>coverage.log |
    awk -v least="$least" '
	/^File / {
		gsub(/\047/, "", $2)
		file = $2
		sub(/.*\/common\//, "common/", file)
	}
	/^Lines executed:/ && file ~ /^common\/.*\.c$/ {
		split($0, part, /[:%]/)
		lines = $NF
		run = int(part[2] * lines / 100 + 0.5)
		printf "%-26s %5d of %5d  %6.2f %%\n", file, run, lines, part[2]
		all += lines
		all_run += run
	}
	/^Lines executed:/ { file = "" }
	END {
		if (all == 0)
			exit 1
		share = 100 * all_run / all
		printf "%-26s %5d of %5d  %6.2f %%\n", "the engine", all_run,
		    all, share
		exit share < least
	}'
