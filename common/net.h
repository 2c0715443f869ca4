/*
 * Addresses and listening sockets, on libuv. Knows no streams.
 */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <uv.h>

#define NET_TEXT_MAX 300u	/* "[address]:port" or "unix:path", with NUL */

/* HOST:PORT as written: a name or a literal, not resolved. */
struct net_host {
	char host[256];		/* without brackets */
	uint16_t port;
};

/*
 * Parse "host", "host:port", "1.2.3.4:port", "[::1]:port", "[::1]". Without a
 * port, default_port is taken; 0 means that one must be given. Port 0 is
 * accepted only with allow_zero (the kernel chooses). 0 or ERR_CONFIG, a
 * phrase in why (at least 128 bytes).
 */
int net_host_parse(const char *text, uint16_t default_port, bool allow_zero,
    struct net_host *out, char *why, size_t why_len);

/* A literal address to a sockaddr: 0, or ERR_NOENT when it is a name. */
int net_host_literal(const struct net_host *h, struct sockaddr_storage *out);

/* Is it 127.0.0.0/8 or ::1? */
bool net_is_loopback(const struct sockaddr *sa);

/* "127.0.0.1:1352", "[::1]:1352" or "unix:/path". Returns out. */
const char *net_text(const struct sockaddr *sa, char *out, size_t out_len);

/*
 * A bound, listening, non-blocking, close-on-exec socket. For TCP:
 * SO_REUSEADDR, IPV6_V6ONLY. For a unix socket: an old socket file that nobody
 * listens on is replaced, one in use is ERR_EXIST, mode is set on the new one;
 * a path that is something else is left alone (ENOTSOCK). ERR_IO with errno
 * otherwise.
 */
int net_listen_tcp(const struct sockaddr *sa, int backlog, int *fd);
int net_listen_unix(const char *path, unsigned mode, int backlog, int *fd);

/*
 * The sockets that systemd passed (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS):
 * first descriptor and count; count 0 when there are none, or they are meant
 * for another process. They are made non-blocking and close-on-exec. The
 * variables are removed from the environment. 0, ERR_LIMIT (more than 64) or
 * ERR_IO (a promised descriptor is not open).
 */
int net_systemd_sockets(int *first_fd, int *count);

/* A negative libuv status as an ERR_*. */
int err_from_uv(int status);

/* Milliseconds of the monotonic clock, as the loop last saw it. */
uint64_t net_now_ms(const uv_loop_t *loop);

#endif
