#!/bin/sh
# The model of the protocol's core, searched in full by spin: what must hold
# does, and without the rules that make it hold it does not.
#
# NRPC_TEST_MODEL=large searches some more, for minutes and with 3 GB.
set -u

model=${top_srcdir:-.}/tests/model/lanes.pml
cc=${CC:-gcc}
megabytes=1000
optimise=-O1
number=0

bail() {
	echo "Bail out! $*"
	exit 1
}

for tool in spin "${cc%% *}"; do
	command -v "$tool" >/dev/null ||
		bail "$tool is missing; install it with: apt-get install $tool"
done
model=$(realpath "$model") || bail "there is no $model"
dir=$(mktemp -d "${top_builddir:-.}/model.XXXXXX") ||
	bail "cannot make a directory in ${top_builddir:-.}"
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM
cd "$dir" || exit 1

# search KIND DEFINES: what pan said is in the file out.
search() {
	flags="-DSAFETY -DNOCLAIM"
	options=
	if [ "$1" = arrives ]; then	# the formula of that name, and only that
		flags=
		options="-a -A -E"
	fi
	rm -f ./*.trail
	# shellcheck disable=SC2086 # lists of words
	spin $2 -a "$model" >out 2>&1 &&
		$cc $optimise -w $flags -DCOLLAPSE -DMEMLIM=$megabytes -o pan pan.c \
		    >>out 2>&1 &&
		./pan -b -m10000 $options >out 2>&1
}

states() {
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out
}

seconds() {
	sed -n 's/^pan: elapsed time \([0-9.e+-]*\) seconds$/\1/p' out
}

# The first thing that pan found, without its place.
verdict() {
	sed -n 's/^pan:1: \(.*\) (at depth.*/\1/p' out | head -n 1
}

# result STATUS TEXT
result() {
	number=$((number + 1))
	echo "$1 $number - $2: $(states) states in $(seconds) s"
	if [ "$1" != ok ]; then
		failed=yes
		sed 's/^/# /' out
	fi
}

# holds KIND DEFINES TEXT. A search that was not completed shows nothing.
holds() {
	if search "$1" "$2" && grep -q 'errors: 0$' out &&
	    ! grep -qE 'not completed|too small|MEMLIM' out; then
		result ok "$3"
		return
	fi
	result "not ok" "$3"
	if [ -e lanes.pml.trail ]; then
		# shellcheck disable=SC2086 # a list of words
		spin $2 -T -k lanes.pml.trail "$model" | sed 's/^/# /'
	fi
}

# refuted KIND DEFINES VERDICT TEXT
refuted() {
	search "$1" "$2"
	case $(verdict) in
	"$3"*) result ok "$4: $3" ;;
	*) result "not ok" "$4: not refuted" ;;
	esac
}

failed=
plan=12
test "${NRPC_TEST_MODEL-}" = large && plan=15
echo "1..$plan"
holds safety "-DUP=2" "one fault, two pieces up"
holds safety "-DDOWN=2" "one fault, two pieces down"
holds safety "-DFAULTS=2 -DDOWN=0" "two faults, up"
holds safety "-DFAULTS=2 -DUP=0" "two faults, down"
optimise=-O0		# what follows is sooner searched than compiled
holds safety "-DHEDGES=1 -DDOWN=0" "a fault and a hedge, up"
holds safety "-DHEDGES=1 -DUP=0" "a fault and a hedge, down"
holds safety "-DHELLOS=1 -DDOWN=0" "a fault and new keys, up"
holds safety "-DHELLOS=1 -DUP=0" "a fault and new keys, down"
holds arrives "" "all arrives from the calm on, one fault"
refuted arrives "-DNO_LANE_RULE" "acceptance cycle" "without the lane rule"
refuted safety "-DLEFT_BEHIND_NAMED" "invalid end state" \
    "what is left behind is answered like the rest"
refuted safety "-DANY_404_COUNTS -DHELLOS=1" "assertion violated" \
    "a 404 for what began before the last hello counts"
if [ $plan -gt 12 ]; then
	megabytes=3000
	optimise=-O1
	holds safety "-DHEDGES=1" "a fault and a hedge, both ways"
	holds safety "-DHELLOS=1" "a fault and new keys, both ways"
	holds safety "-DFAULTS=2" "two faults, both ways"
fi
test -z "$failed"
