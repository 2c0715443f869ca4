#include "config.h"

#include "common/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/err.h"

#define SYSTEMD_FIRST_FD 3	/* SD_LISTEN_FDS_START */
#define SYSTEMD_FDS_MAX 64

static int complain(char *why, size_t why_len, const char *text)
{
	snprintf(why, why_len, "%s", text);
	return ERR_CONFIG;
}

/* A port without sign, blanks or leading zeros that would hide a typo. */
static int parse_port(const char *text, bool allow_zero, uint16_t *out)
{
	unsigned long port;
	char *end;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
		return ERR_CONFIG;
	if (text[0] == '0' && text[1] != '\0')
		return ERR_CONFIG;
	port = strtoul(text, &end, 10);
	if (*end != '\0' || port > 65535 || (port == 0 && !allow_zero))
		return ERR_CONFIG;
	*out = (uint16_t)port;
	return 0;
}

static bool is_ipv6(const char *host)
{
	struct sockaddr_in6 sin6;

	return uv_ip6_addr(host, 0, &sin6) == 0;
}

/* A name as resolvers take it, or an IPv4 literal. */
static bool is_name(const char *host)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	struct sockaddr_in sin;

	if (host[0] == '\0' || host[0] == '.' || host[0] == '-')
		return false;
	if (host[strspn(host, letters)] != '\0')
		return false;
	/* Only digits and dots can be nothing but an address. */
	if (host[strspn(host, "0123456789.")] == '\0')
		return uv_ip4_addr(host, 0, &sin) == 0;
	return true;
}

/*
 * Cut text into host and port: *port_text is NULL when there is none. The
 * host's brackets are gone, *bracketed tells of them.
 */
static int split(const char *text, struct net_host *h, bool *bracketed,
    const char **port_text)
{
	const char *host = text, *end;

	*bracketed = text[0] == '[';
	if (*bracketed) {
		host = text + 1;
		end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return ERR_CONFIG;
		*port_text = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = host + strcspn(host, ":");
		*port_text = *end == ':' ? end + 1 : NULL;
	}
	if ((size_t)(end - host) >= sizeof(h->host))
		return ERR_CONFIG;
	memcpy(h->host, host, (size_t)(end - host));
	h->host[end - host] = '\0';
	return 0;
}

int net_host_parse(const char *text, uint16_t default_port, bool allow_zero,
    struct net_host *out, char *why, size_t why_len)
{
	struct net_host h = { .port = default_port };
	const char *port_text;
	bool bracketed;

	if (is_ipv6(text) || (text[0] != '[' && strchr(text, ':') !=
	    strrchr(text, ':')))
		return complain(why, why_len,
		    "an IPv6 address must stand in brackets, as in [::1]:1352");
	if (split(text, &h, &bracketed, &port_text) != 0)
		return complain(why, why_len,
		    "is not of the form HOST:PORT or [ADDRESS]:PORT");
	if (bracketed ? !is_ipv6(h.host) : !is_name(h.host))
		return complain(why, why_len, bracketed ?
		    "what stands in brackets is not an IPv6 address" :
		    "is neither a host name nor an address");
	if (port_text == NULL && default_port == 0)
		return complain(why, why_len, "needs a port, as in HOST:PORT");
	if (port_text != NULL && parse_port(port_text, allow_zero,
	    &h.port) != 0)
		return complain(why, why_len, allow_zero ?
		    "the port must be a number from 0 to 65535" :
		    "the port must be a number from 1 to 65535");
	*out = h;
	return 0;
}

int net_host_literal(const struct net_host *h, struct sockaddr_storage *out)
{
	struct sockaddr_storage ss;

	memset(&ss, 0, sizeof(ss));
	if (uv_ip4_addr(h->host, h->port, (struct sockaddr_in *)&ss) != 0 &&
	    uv_ip6_addr(h->host, h->port, (struct sockaddr_in6 *)&ss) != 0)
		return ERR_NOENT;
	*out = ss;
	return 0;
}

bool net_is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)sa;

		return ntohl(sin->sin_addr.s_addr) >> 24 == 127;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)sa;

		return IN6_IS_ADDR_LOOPBACK(&sin6->sin6_addr);
	}
	return false;
}

const char *net_text(const struct sockaddr *sa, char *out, size_t out_len)
{
	char host[INET6_ADDRSTRLEN];

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)sa;

		(void)uv_ip4_name(sin, host, sizeof(host)); /* it fits */
		snprintf(out, out_len, "%s:%u", host, ntohs(sin->sin_port));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *sin6 = (const void *)sa;

		(void)uv_ip6_name(sin6, host, sizeof(host)); /* it fits */
		snprintf(out, out_len, "[%s]:%u", host, ntohs(sin6->sin6_port));
	} else if (sa->sa_family == AF_UNIX) {
		const struct sockaddr_un *sun = (const void *)sa;

		snprintf(out, out_len, "unix:%.*s",
		    (int)sizeof(sun->sun_path), sun->sun_path);
	} else {
		snprintf(out, out_len, "unknown");
	}
	return out;
}

/* Non-blocking, closed on exec; by fcntl: not every system has flags. */
static int set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return ERR_IO;
	return 0;
}

/* Close on a path of failure whose errno the caller is to see. */
static int give_up(int fd, int rc)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return rc;
}

static int open_socket(int family, int *out)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		return ERR_IO;
	if (set_flags(fd) != 0)
		return give_up(fd, ERR_IO);
	*out = fd;
	return 0;
}

int net_listen_tcp(const struct sockaddr *sa, int backlog, int *fd)
{
	socklen_t len = sa->sa_family == AF_INET ?
	    sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int s = -1, on = 1;

	if (open_socket(sa->sa_family, &s) != 0)
		return ERR_IO;
	if (setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return give_up(s, ERR_IO);
	if (sa->sa_family == AF_INET6 &&
	    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return give_up(s, ERR_IO);
	if (bind(s, sa, len) != 0 || listen(s, backlog) != 0)
		return give_up(s, ERR_IO);
	*fd = s;
	return 0;
}

/*
 * Remove a socket file that nobody listens on. 0 when the path is free now,
 * ERR_EXIST when someone listens, ERR_IO otherwise (not a socket, no right).
 */
static int remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;
	int s = -1, rc;

	if (lstat(sun->sun_path, &st) != 0)
		return errno == ENOENT ? 0 : ERR_IO;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ENOTSOCK;
		return ERR_IO;
	}
	if (open_socket(AF_UNIX, &s) != 0)
		return ERR_IO;
	rc = connect(s, (const struct sockaddr *)sun, sizeof(*sun));
	if (rc == 0 || errno == EAGAIN)		/* EAGAIN: its queue is full */
		return give_up(s, ERR_EXIST);
	if (errno != ECONNREFUSED)
		return give_up(s, ERR_IO);
	close(s);
	return unlink(sun->sun_path) == 0 || errno == ENOENT ? 0 : ERR_IO;
}

/* Bind with exactly this mode from the first moment on. */
static int bind_unix(int s, const struct sockaddr_un *sun, unsigned mode)
{
	mode_t old = umask((mode_t)(~mode & 0777));
	int rc = bind(s, (const struct sockaddr *)sun, sizeof(*sun));

	umask(old);
	return rc == 0 ? 0 : ERR_IO;
}

int net_listen_unix(const char *path, unsigned mode, int backlog, int *fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = -1, rc;

	if (path[0] == '\0' || strlen(path) >= sizeof(sun.sun_path)) {
		errno = path[0] == '\0' ? EINVAL : ENAMETOOLONG;
		return ERR_IO;
	}
	strcpy(sun.sun_path, path);
	rc = remove_stale(&sun);
	if (rc != 0)
		return rc;
	if (open_socket(AF_UNIX, &s) != 0)
		return ERR_IO;
	if (bind_unix(s, &sun, mode) != 0 || listen(s, backlog) != 0)
		return give_up(s, ERR_IO);
	*fd = s;
	return 0;
}

/* A decimal number from the environment; -1 when it is missing or none. */
static long env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long n;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	n = strtol(text, &end, 10);
	return *end == '\0' ? n : -1;
}

int net_systemd_sockets(int *first_fd, int *count)
{
	long pid = env_number("LISTEN_PID");
	long n = env_number("LISTEN_FDS");

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (pid != (long)getpid() || n <= 0) {
		*first_fd = SYSTEMD_FIRST_FD;
		*count = 0;
		return 0;
	}
	if (n > SYSTEMD_FDS_MAX)
		return ERR_LIMIT;
	for (int i = 0; i < (int)n; i++)
		if (set_flags(SYSTEMD_FIRST_FD + i) != 0)
			return ERR_IO;
	*first_fd = SYSTEMD_FIRST_FD;
	*count = (int)n;
	return 0;
}

int err_from_uv(int status)
{
	switch (status) {
	case 0:
		return 0;
	case UV_ENOMEM:
	case UV_ENOBUFS:
	case UV_EAI_MEMORY:
		return ERR_NOMEM;
	case UV_EAGAIN:
		return ERR_AGAIN;
	case UV_EMFILE:
	case UV_ENFILE:
		return ERR_LIMIT;
	case UV_ENOENT:
		return ERR_NOENT;
	case UV_EEXIST:
	case UV_EADDRINUSE:
		return ERR_EXIST;
	case UV_EACCES:
	case UV_EPERM:
		return ERR_DENIED;
	case UV_EOF:
	case UV_EPIPE:
	case UV_ECONNRESET:
	case UV_ECONNABORTED:
		return ERR_CLOSED;
	case UV_ETIMEDOUT:
		return ERR_TIMEOUT;
	case UV_ECONNREFUSED:
		return ERR_REFUSED;
	case UV_EHOSTUNREACH:
	case UV_ENETUNREACH:
	case UV_EHOSTDOWN:
	case UV_ENETDOWN:
	case UV_EADDRNOTAVAIL:
	case UV_EAI_NONAME:
	case UV_EAI_NODATA:
	case UV_EAI_AGAIN:
	case UV_EAI_FAIL:
	case UV_EAI_ADDRFAMILY:
		return ERR_UNREACH;
	default:
		return ERR_IO;
	}
}

uint64_t net_now_ms(const uv_loop_t *loop)
{
	return uv_now(loop);
}
