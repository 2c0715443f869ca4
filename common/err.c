#include "config.h"

#include "common/err.h"

static const char *const text[] = {
	[0] = "success",
	[-ERR_NOMEM] = "out of memory",
	[-ERR_MORE] = "incomplete",
	[-ERR_AGAIN] = "would block",
	[-ERR_LIMIT] = "limit reached",
	[-ERR_PROTO] = "protocol violated",
	[-ERR_CRYPTO] = "not authentic",
	[-ERR_IO] = "system error",
	[-ERR_NOENT] = "not found",
	[-ERR_EXIST] = "exists already",
	[-ERR_DENIED] = "not allowed",
	[-ERR_CONFIG] = "wrong setting",
	[-ERR_STATE] = "not possible now",
	[-ERR_CLOSED] = "closed by the other end",
	[-ERR_TIMEOUT] = "timed out",
	[-ERR_REFUSED] = "connection refused",
	[-ERR_UNREACH] = "not reachable"
};

const char *err_text(int err)
{
	/* Checked before the sign is turned: -INT_MIN does not exist. */
	if (err > 0 || err < ERR_UNREACH)
		return "unknown error";
	return text[-err];
}
