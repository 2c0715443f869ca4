#!/bin/sh
# Many seeds of hostile network, and the scenarios written by hand.
exec "${top_builddir:-.}/tests/sim/sim" --seeds "${SIM_SEEDS:-10000}"
