/*
 * Error codes shared by everything: 0 is success, failures are negative.
 *
 * ERR_MORE and ERR_AGAIN are not failures: the first says that what has
 * arrived is not complete yet, the second that an operation would block.
 */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

enum {
	ERR_NOMEM = -1,		/* no memory */
	ERR_MORE = -2,		/* incomplete: call again with more bytes */
	ERR_AGAIN = -3,		/* would block: call again later */
	ERR_LIMIT = -4,		/* a cap was reached */
	ERR_PROTO = -5,		/* the peer broke the protocol */
	ERR_CRYPTO = -6,	/* not authentic, or the library failed */
	ERR_IO = -7,		/* the operating system said no; see errno */
	ERR_NOENT = -8,		/* no such thing */
	ERR_EXIST = -9,		/* there already */
	ERR_DENIED = -10,	/* known, but not allowed */
	ERR_CONFIG = -11,	/* a setting, option or file is wrong */
	ERR_STATE = -12,	/* not possible in this state */
	ERR_CLOSED = -13,	/* the other end has gone */
	ERR_TIMEOUT = -14,	/* a deadline passed */
	ERR_REFUSED = -15,	/* nobody listens there */
	ERR_UNREACH = -16	/* no route, or no such host */
};

/* A few lower-case words for an ERR_* code, for messages; never NULL. */
const char *err_text(int err);

#endif
