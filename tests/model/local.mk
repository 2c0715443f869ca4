# The protocol's core as a model, for spin.
model_tests = tests/model/check.sh

TESTS += $(model_tests)
EXTRA_DIST += $(model_tests) \
	tests/model/lanes.pml
