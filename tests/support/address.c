#include "config.h"

#include "tests/support/address.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

static socklen_t length(const struct sockaddr *sa)
{
	return sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
	    sizeof(struct sockaddr_in);
}

int address_parse(const char *program, const char *text,
    struct sockaddr_storage *out)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	char host[256];
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : 0;
	int rc;

	if (colon == NULL || len == 0 || len >= sizeof(host)) {
		fprintf(stderr, "%s: '%s' is not HOST:PORT\n", program, text);
		return -1;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	rc = getaddrinfo(host, colon + 1, &hints, &found);
	if (rc != 0) {
		fprintf(stderr, "%s: %s: %s\n", program, text,
		    gai_strerror(rc));
		return -1;
	}
	memset(out, 0, sizeof(*out));
	memcpy(out, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

const char *address_text(const struct sockaddr *sa,
    char out[ADDRESS_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN] = "?";
	const struct sockaddr_in6 *in6 = (const void *)sa;
	const struct sockaddr_in *in4 = (const void *)sa;

	if (sa->sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		(void)snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host,
		    (unsigned)ntohs(in6->sin6_port));
	} else {
		(void)inet_ntop(AF_INET, &in4->sin_addr, host, sizeof(host));
		(void)snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host,
		    (unsigned)ntohs(in4->sin_port));
	}
	return out;
}

int address_listen(const char *program, const struct sockaddr_storage *at,
    struct sockaddr_storage *bound)
{
	const struct sockaddr *sa = (const struct sockaddr *)at;
	socklen_t len = sizeof(*bound);
	char text[ADDRESS_TEXT_MAX];
	int fd, one = 1;

	fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
	    0);
	if (fd < 0)
		goto fail;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, sa, length(sa)) != 0 || listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)bound, &len) != 0)
		goto fail;
	return fd;

fail:
	fprintf(stderr, "%s: cannot listen on %s: %s\n", program,
	    address_text(sa, text), strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

uint64_t address_number(const char *program, const char *option,
    const char *value)
{
	char *end = NULL;
	uint64_t n;

	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || *value == '-') {
		fprintf(stderr, "%s: --%s: '%s' is not a number\n", program,
		    option, value);
		exit(2);
	}
	return n;
}
