#!/bin/sh
# The simulation can fail: without the lane rule it does.
exec "${top_builddir:-.}/tests/sim/sim" --seeds 10000 --break-lane-rule \
	--expect-failure
